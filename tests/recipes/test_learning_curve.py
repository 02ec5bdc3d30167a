"""The learning curve of a transcoder: its rows, what they share, its picture, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from hearless import door
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.interfaces import HearlessError
from hearless.recipes.spectral_transcoder import cnn_logits, light
from hearless.recipes.spectral_transcoder.learning_curve import EPOCHS, SHARE, Options, curves_of, table
from hearless.recipes.spectral_transcoder.settings import Settings, from_words
from hearless.report import Report, Row
from hearless.spec import spec
from hearless.statistics import Measure

TABLE = spec(CsvLabels, table="meta.csv")


def made(**words: Any) -> Settings:
    return from_words(TABLE, backbone="yamnet", epochs=20, **words)


def test_rows_vary_one_thing_at_a_time() -> None:
    rows = table([made()], Options()).rows
    found = [(row.options[0].training_share, row.options[0].stages[0].epochs) for row in rows]
    assert found == [(0.125, 20), (0.25, 20), (0.5, 20), (1.0, 20), (1.0, 5), (1.0, 10), (1.0, 40)]
    assert rows[0].label == "light, 1/8 of the clips, 20 epochs"
    assert rows[3].options == (light.recipe(made()),)
    assert rows[3].condition == {"classifier": "yamnet", "transcoder": "light", SHARE: "1", EPOCHS: "20"}


def test_neighbours_are_compared_the_larger_first() -> None:
    study = table([made()], Options(shares="1/2,1", epoch_counts="10,20"))
    half, whole, ten = (row.label for row in study.rows)
    assert set(study.compare) == {(whole, half), (whole, ten)}
    assert study.training_time
    assert study.judged_on == "test"


def test_both_transcoders_can_be_asked_for() -> None:
    rows = table([made(rows="light,CNN-logits")], Options(shares="1", epoch_counts="20")).rows
    assert [row.options[0] for row in rows] == [light.recipe(made()), cnn_logits.recipe(made())]


def test_curves_are_split_by_what_varies() -> None:
    rows = [
        Row(f"{part} {n}", {"transcoder": "light", SHARE: part, EPOCHS: str(n)}, {"agreement": Measure(value)})
        for part, n, value in (("1/2", 20, 0.5), ("1", 20, 0.6), ("1", 40, 0.7))
    ]
    rows.append(Row("hole", {"transcoder": "light", SHARE: "1/8", EPOCHS: "20"}, hole="stopped"))
    by_share, by_epochs = curves_of(Report("t", "", ("agreement",), tuple(rows)), 20)
    assert by_share.along == SHARE
    assert by_share.lines == {"light, 20 epochs": [(0.5, Measure(0.5)), (1.0, Measure(0.6))]}
    assert by_epochs.lines == {"light, all clips": [(20.0, Measure(0.6)), (40.0, Measure(0.7))]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"shares": "1/8,2"}, "shares must lie in 0..1, 0 excluded, such as 1/8,1/2,1, got '2'"),
        ({"shares": "1/0"}, "shares must lie in 0..1"),
        ({"shares": "half"}, "shares must lie in 0..1"),
        ({"epoch_counts": "5,0"}, "epoch_counts must be whole numbers above 0, such as 5,10,20, got '0'"),
        ({"epoch_counts": "5,1.5"}, "epoch_counts must be whole numbers"),
    ],
)
def test_wrong_lists_are_refused(words: dict[str, str], said: str) -> None:
    with pytest.raises(HearlessError, match=said.replace(".", r"\.")):
        table([made()], Options(**words))


def test_one_classifier_and_known_transcoders() -> None:
    with pytest.raises(HearlessError, match="takes one frozen classifier, got 2"):
        table([made(), made()], Options())
    with pytest.raises(HearlessError, match="rows must be among light, CNN-logits, got PINV"):
        table([made(rows="PINV")], Options())


@pytest.mark.usefixtures("cached")
def test_it_runs_and_draws(tiny: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "mn04.safetensors"
    save_file(MobileNetV3(n_classes=527, width=0.4).state_dict(), weights)
    report = door.study(
        "spectral_transcoder/learning_curve", labels=tiny / "meta.csv", runs=tmp_path / "runs", backbones=["mn04"],
        weights=weights, folds=["1"], place=tmp_path / "out", epochs=1, batch_size=6, clip_s=0.5, validation=0.3,
        light_channels=2, light_blocks=1, shares="1/2,1", epoch_counts="1,2", command="c",
    )  # fmt: skip
    assert [row.label for row in report.rows] == [
        "light, 1/2 of the clips, 1 epoch", "light, all clips, 1 epoch", "light, all clips, 2 epochs"
    ]  # fmt: skip
    assert [row.hole for row in report.rows] == ["", "", ""]
    assert all(row.metrics["training time"].value > 0 for row in report.rows)
    assert report.columns[-1] == "training time"
    assert len(report.tests) == 2
    assert (tmp_path / "out" / "learning_curve.png").stat().st_size > 10_000
