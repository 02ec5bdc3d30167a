from __future__ import annotations

import numpy as np
import pytest
import torch

from hearless.heads.class_aggregation import ClassAggregation
from hearless.interfaces import HearlessError, Prediction
from hearless.labels import label_names
from hearless.labels.groups import GROUPS

AUDIOSET = label_names("audioset")


def said(**scores: float) -> Prediction:
    """Return a prediction of two clips: every class at 0.01 but those named, in the first."""
    values = torch.full((2, 527), 0.01, dtype=torch.float64)
    for name, score in scores.items():
        values[0, AUDIOSET.index(name)] = score
    return Prediction(values.logit(), torch.zeros(2, 3))


def test_a_class_is_as_likely_as_its_likeliest_source() -> None:
    judged = ClassAggregation(n_classes=10)(said(Bark=0.6, Dog=0.7, Jackhammer=0.5))
    scores = dict(zip(GROUPS["urbansound8k"], judged.logits[0].sigmoid().tolist(), strict=True))
    assert scores.pop("dog_bark") == pytest.approx(0.7)
    assert scores.pop("jackhammer") == pytest.approx(0.5)
    assert list(scores.values()) == pytest.approx([0.01] * 8)


@pytest.mark.parametrize(("n_scores", "source"), [(527, "audioset"), (521, "yamnet")])
@pytest.mark.parametrize("mapping", list(GROUPS))
@pytest.mark.parametrize("rule", ["max", "sum"])
def test_both_rules_are_numpys(n_scores: int, source: str, mapping: str, rule: str) -> None:
    logits = torch.randn(3, n_scores, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    head = ClassAggregation(n_classes=len(GROUPS[mapping]), n_scores=n_scores, mapping=mapping, rule=rule)
    names, scores = label_names(source), 1 / (1 + np.exp(-logits.numpy()))
    for column, mapped in enumerate(GROUPS[mapping].values()):
        own = scores[:, [i for i, name in enumerate(names) if name in mapped]]
        expected = np.log(own.sum(1)) if rule == "sum" else np.log(own.max(1) / (1 - own.max(1)))
        got = head(Prediction(logits, logits)).logits[:, column]
        np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_target_classes_may_be_fewer_and_in_another_order() -> None:
    head = ClassAggregation(n_classes=2, labels=("Siren", "dog bark"))
    assert head(said(Bark=0.9)).logits.argmax(1).tolist()[0] == 1
    assert head(said(Siren=0.9)).logits.argmax(1).tolist()[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_classes": 3}, "n_classes must be that of the classes mapped by hand, got 3 and 10; name the target"),
        ({"n_classes": 2, "labels": ("siren", "hum")}, r"must be urbansound8k's \(air_conditioner, .*\), got hum"),
        ({"n_classes": 10, "rule": "mean"}, "rule must be one of max, sum, got 'mean'"),
        ({"n_classes": 10, "mapping": "esc50"}, "must be one of urbansound8k, sonyc_ust, got 'esc50'"),
        ({"n_classes": 10, "n_scores": 50}, r"527 \(audioset\) classes, got 50"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(HearlessError, match=message):
        ClassAggregation(**arguments)  # type: ignore[arg-type]  # wrong on purpose


def test_scores_of_another_classifier_are_refused() -> None:
    with pytest.raises(HearlessError, match="got 527 for 521; set n_scores=521"):
        ClassAggregation(n_classes=10)(Prediction(torch.zeros(1, 521), torch.zeros(1, 3)))
