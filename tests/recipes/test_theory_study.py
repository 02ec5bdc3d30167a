"""Three looks at trained networks: layers, bands and soft labels, as one command gives them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hearless import door
from hearless.interfaces import HearlessError, Prediction
from hearless.lab import Lab
from hearless.recipes.low_rate.theory import Hiding
from hearless.report import Report

pytestmark = pytest.mark.usefixtures("cached")


class Echo(nn.Module):
    def forward(self, features: torch.Tensor, keep: torch.Tensor | None = None, *, maps: bool = False) -> Prediction:
        return Prediction(features[:, 0].mean(2), features[:, 0, :, 0])


def test_hidden_bands_say_what_they_say_on_the_mean_and_others_what_they_said() -> None:
    x = torch.randn(2, 1, 6, 4)
    mean = torch.arange(6.0)
    said = Hiding(Echo(), (2, 4), mean)(x)
    torch.testing.assert_close(said.logits[:, 2:4], mean[2:4].expand(2, 2))
    torch.testing.assert_close(said.logits[:, [0, 1, 4, 5]], x[:, 0, [0, 1, 4, 5]].mean(2))


def asked(tiny: Path, tiny_runs: Path, place: Path, **words: object) -> Report:
    return door.study(
        "low_rate/theory", lab=Lab(tiny_runs, tiny), labels=tiny / "meta.csv", place=place, backbones=["mn02"],
        **{"epochs": 1, "batch_size": 8, "validation": 0.3, **words},
    )  # fmt: skip


def test_one_command_gives_tables_and_pictures(tiny: Path, tiny_runs: Path, tmp_path: Path) -> None:
    report = asked(tiny, tiny_runs, tmp_path, folds=["1", "2"], groups="3")
    assert [row.label for row in report.rows] == ["16 kHz model, raw", "fine-tuned", "BASD", "CSSD"]
    assert all(-1 <= row.metrics["embedding"].value <= 1.01 for row in report.rows)
    layers, bands, soft = (Report.load(tmp_path / name) for name in ("layers", "bands", "soft_labels"))
    assert [row.label for row in layers.rows][-2:] == ["embedding", "logits"]
    assert layers.columns == tuple(row.label for row in report.rows)
    assert len(bands.rows) == 3
    assert bands.columns == ("fine-tuned", "BASD", "CSSD")
    assert bands.rows[0].metrics["CSSD"].n == 24  # both folds
    for row in soft.rows:
        shares = [row.metrics[name].value for name in ("true class", "runner-up", "rest")]
        assert sum(shares) == pytest.approx(1.0, abs=1e-6)
        assert 0 <= row.metrics["entropy"].value <= np.log2(3)
    entropies = [row.metrics["entropy"].value for row in soft.rows]
    assert entropies[1] > entropies[0]  # T 4 against T 1
    for name in ("layers.png", "bands.png", "dark_knowledge.png"):
        assert (tmp_path / name).stat().st_size > 5000, name
    assert "low_rate/theory" not in report.task
    assert report.task.startswith("24 clips")


def test_what_it_refuses(tiny: Path, tiny_runs: Path, tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match=r"one backbone, one rate and one seed, got 1, \[1000, 2000\]"):
        asked(tiny, tiny_runs, tmp_path, rates=[1000, 2000])
    with pytest.raises(HearlessError, match="groups must number 1 to"):
        asked(tiny, tiny_runs, tmp_path, folds=["1"], groups="99")
    with pytest.raises(HearlessError, match="each clip has one class; this table has several"):
        door.study(
            "low_rate/theory", lab=Lab(tiny_runs, tiny), labels=tiny / "multi.csv",
            place=tmp_path, backbones=["mn02"],
        )  # fmt: skip
