"""Paper 003 with the quirks of its published code: which recipes change, what a table says of it, and that it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from hearless import door
from hearless.captures.full_band import FullBand
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.datasets.urbansound8k import UrbanSound8K
from hearless.interfaces import HearlessError
from hearless.recipes.spectral_transcoder import cnn_logits, head, light, table2, table3
from hearless.recipes.spectral_transcoder.settings import Settings, from_words
from hearless.run import Run
from hearless.spec import Spec, spec

TABLE = spec(CsvLabels, table="meta.csv")


def made(dataset: Spec = TABLE, backbone: str = "resnet38", protocol: str = "as_released", **words: Any) -> Settings:
    return from_words(dataset, backbone=backbone, protocol=protocol, **words)


def test_transcoders_hear_sound_divided_by_its_peak_and_nothing_else_changes() -> None:
    ours, theirs = cnn_logits.recipe(made(protocol="honest")), cnn_logits.recipe(made())
    assert (ours.peak_normalised, theirs.peak_normalised) == (False, True)
    assert theirs.protocol == "as_released"
    assert (ours.student, ours.teacher, ours.stages, ours.select) == (
        theirs.student, theirs.teacher, theirs.stages, theirs.select,
    )  # fmt: skip


@pytest.mark.parametrize("backbone", ["resnet38", "yamnet"])
def test_heads_train_on_all_clips_to_the_last_epoch_and_hear_seconds_apart(backbone: str) -> None:
    settings = made(backbone=backbone)
    recipe = head.recipe(settings, light.recipe(settings))
    assert (recipe.select, recipe.train_on_validation, recipe.peak_normalised) == ("last", True, True)
    assert recipe.student.enhancer is not None
    assert recipe.student.enhancer.arguments["seconds_apart"] is True
    assert recipe.student.capture.arguments["misread_hz"] == (16000 if backbone == "yamnet" else 0)
    assert recipe.student.classifier.arguments.get("hop_frames") == (96 if backbone == "yamnet" else None)
    assert head.recipe(settings).student.capture == spec(FullBand, rate_hz=16000 if backbone == "yamnet" else 32000)
    honest = made(backbone=backbone, protocol="honest")
    plain = head.recipe(honest, light.recipe(honest))
    assert plain.student.enhancer is not None
    assert plain.student.enhancer.arguments["seconds_apart"] is False
    assert (plain.select, plain.train_on_validation) == ("max:accuracy", False)


def test_short_clips_of_urbansound8k_are_left_out() -> None:
    assert cnn_logits.recipe(made(spec(UrbanSound8K))).dataset == spec(UrbanSound8K, min_duration_s=1.0)
    assert cnn_logits.recipe(made(spec(UrbanSound8K), protocol="paper")).dataset == spec(UrbanSound8K)
    assert cnn_logits.recipe(made()).dataset == TABLE


def test_tables_list_the_quirks_that_are_made_kept_and_left_out() -> None:
    told = {name: " ".join(table.study([made(backbone="yamnet")]).notes) for name, table in TABLES.items()}
    for text in told.values():
        assert "As released, yamnet: each clip divided by its largest absolute value" in text
        assert "Kept in every protocol: Tukey window" in text
        assert "Of the released code left out: every second of a file in each epoch" in text
    assert "taken for 32 kHz" in told["table3"]
    assert "taken for 32 kHz" not in told["table2"]
    assert "taken for 32 kHz" not in " ".join(table3.study([made()]).notes)
    assert "released" not in " ".join(table3.study([made(protocol="paper")]).notes)


TABLES = {"table2": table2, "table3": table3}


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(HearlessError, match="protocol must be one of honest, paper, as_released, got 'released'"):
        light.recipe(made(protocol="released"))


@pytest.mark.usefixtures("cached")
def test_the_head_of_a_transcoder_runs_as_released(tiny: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "mn04.safetensors"
    save_file(MobileNetV3(n_classes=527, width=0.4).state_dict(), weights)
    report = door.study(
        "spectral_transcoder/table3", labels=tiny / "meta.csv", runs=tmp_path / "runs", backbones=["mn04"],
        weights=weights, folds=["1"], rows="light", protocol="as_released", epochs=1, batch_size=6, clip_s=0.5,
        head_epochs=1, head_batch_size=6, validation=0.3, light_channels=2, light_blocks=1,
    )  # fmt: skip
    assert [row.hole for row in report.rows] == ["", ""]
    (folder,) = (tmp_path / "runs").glob("spectral_transcoder-head-mn04-light-*/fold1-seed0")
    clips = Run(folder).measured["n_clips"]
    assert clips["training"] == clips["test"] == 12
    assert 0 < clips["validation"] < 12
    assert any(note.startswith("As released, mn04") for note in report.notes)
