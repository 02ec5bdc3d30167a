"""Paper 003's losses against scipy and by their laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import Tensor

from hearless.interfaces import HearlessError, Prediction
from hearless.objectives.transcoding import Transcoding, feature_loss, score_loss


def said(seed: int, shape: tuple[int, ...] = (4, 6), features: tuple[int, ...] = (4, 1, 5, 7)) -> Prediction:
    g = torch.Generator().manual_seed(seed)
    draw = [torch.randn(size, generator=g, dtype=torch.float64) for size in (shape, features)]
    return Prediction(draw[0], torch.zeros(1), draw[1])


WEIGHT = torch.tensor([1.0, 2.0, 0.0, 1.0], dtype=torch.float64)
TARGET = torch.zeros(4, 3)


def by_hand(student: Prediction, teacher: Prediction) -> tuple[float, float]:
    s, t, w = expit(student.logits.numpy()), expit(teacher.logits.numpy()), WEIGHT.numpy()
    cross = -(t * np.log(s) + (1 - t) * np.log(1 - s)).mean(1)
    assert student.features is not None
    assert teacher.features is not None
    squared = (student.features.numpy() - teacher.features.numpy()) ** 2
    return float((cross * w).sum() / w.sum()), float((squared.mean((1, 2, 3)) * w).sum() / w.sum())


@pytest.mark.parametrize(("logits", "features"), [(1.0, 0.0), (0.0, 1.0), (2.0, 0.3)])
def test_terms_are_the_papers_losses(logits: float, features: float) -> None:
    student, teacher = said(0), said(1)
    terms = Transcoding(logits=logits, features=features)(student, teacher, TARGET, WEIGHT)
    expected = dict(zip(("logits", "features"), by_hand(student, teacher), strict=True))
    wanted = {"logits": logits, "features": features}
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {name: share * expected[name] for name, share in wanted.items() if share}
    )


def test_a_student_that_says_the_same_is_at_the_least_loss() -> None:
    teacher = said(1)
    logits = teacher.logits.clone().requires_grad_(True)
    score_loss(logits, teacher.logits).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), atol=1e-15, rtol=0)
    assert feature_loss(teacher.features, teacher.features).item() == 0


def test_no_gradient_flows_into_the_teacher_and_large_logits_stay_finite() -> None:
    student = Prediction(torch.full((2, 3), -200.0, requires_grad=True), torch.zeros(1), torch.ones(2, 1, 2, 2))
    teacher = Prediction(torch.full((2, 3), 200.0, requires_grad=True), torch.zeros(1), torch.zeros(2, 1, 2, 2))
    terms = Transcoding(logits=1.0, features=1.0)(student, teacher, TARGET, torch.ones(2))
    loss: Tensor = torch.stack(list(terms.values())).sum()
    loss.backward()
    assert teacher.logits.grad is None
    assert loss.item() == pytest.approx(201.0)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [({"logits": -1.0}, "must be 0 or more, one above 0, got -1.0 and 0.0"), ({"logits": 0.0}, "got 0.0 and 0.0")],
)
def test_weights_must_say_something(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(HearlessError, match=match):
        Transcoding(**arguments)


def test_features_of_other_axes_and_other_classes_are_refused() -> None:
    with pytest.raises(HearlessError, match=r"features of one shape, got \(4, 1, 5, 7\) and \(4, 1, 5, 8\)"):
        feature_loss(said(0).features, said(1, features=(4, 1, 5, 8)).features)
    with pytest.raises(HearlessError, match="features of one shape, got None"):
        feature_loss(None, said(1).features)
    with pytest.raises(HearlessError, match="must share their classes"):
        Transcoding().bind(said(0), said(1, shape=(4, 7)))
    with pytest.raises(HearlessError, match="needs a teacher"):
        Transcoding().bind(said(0), None)
