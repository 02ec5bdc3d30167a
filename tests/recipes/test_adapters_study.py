"""All weights, or small changes of them: what each row trains, and what the table says of its costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hearless.datasets.csv_labels import CsvLabels
from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.recipes._shared import backbone
from hearless.recipes.low_rate import adapters, cssd, fine_tuned
from hearless.recipes.low_rate.settings import Settings, from_words
from hearless.spec import spec

pytestmark = pytest.mark.usefixtures("cached")

TABLE = spec(CsvLabels, table="meta.csv")
MN04 = Settings(TABLE, backbone("mn04", "weights.safetensors", "ab" * 32))


def test_the_rows_are_the_usual_trainings_of_fewer_weights() -> None:
    made = adapters.study([MN04])
    rows = {row.label: row.options[0] for row in made.rows}
    assert len(rows) == 2 * len(adapters.WAYS) == 14
    assert rows["all weights, labels, 1 kHz"] == fine_tuned.recipe(MN04, 1000)
    assert rows["all weights, CSSD, 1 kHz"] == cssd.recipe(MN04, 1000)
    (stage,) = rows["DoRA, rank 16, CSSD, 1 kHz"].stages
    assert (stage.adapters, stage.adapter_rank, stage.adapter_alpha) == ("dora", 16, 32.0)
    assert stage.learning_rate == pytest.approx(3e-3)
    assert stage.objectives == cssd.recipe(MN04, 1000).stages[0].objectives
    assert not rows["output layer, labels, 1 kHz"].stages[0].adapter_statistics
    assert len({one.digest for one in rows.values()}) == 14
    assert ("DoRA, rank 4, labels, 1 kHz", "LoRA, rank 4, labels, 1 kHz") in made.compare
    assert ("output layer, CSSD, 1 kHz", "output layer, labels, 1 kHz") in made.compare
    assert not any("random" in note for note in made.notes)


def test_the_table_says_what_trains_and_what_it_takes(tiny: Path, tiny_runs: Path) -> None:
    settings = from_words(TABLE, backbone="mn02", epochs=1, batch_size=8, validation=0.3)
    made = adapters.study([settings], folds=("1",), task="A task.")
    wanted = ("all weights, labels, 1 kHz", "output layer, labels, 1 kHz", "LoRA, rank 4, labels, 1 kHz")
    rows = tuple(row for row in made.rows if row.label in wanted)
    report = Lab(tiny_runs, tiny).study(replace(made, rows=rows, compare=()))
    trained = {row.label: row.metrics["trained parameters"].value for row in report.rows}
    assert trained[wanted[1]] < trained[wanted[2]] < trained[wanted[0]]
    assert all(row.metrics["peak memory"].value == 123.0 for row in report.rows)
    assert "| trained parameters (k) | peak memory (MB) |" in " ".join(report.to_markdown().split())
    assert any("random" in note for note in report.notes)


def test_one_backbone_at_a_time() -> None:
    with pytest.raises(HearlessError, match="takes one backbone at a time, got 2"):
        adapters.study([MN04, MN04])
