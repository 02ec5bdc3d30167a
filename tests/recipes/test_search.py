"""The architecture search: its grid, what each network costs, how the best is chosen, its picture."""

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
from hearless.recipes.spectral_transcoder.search import COST, Options, by_cost, table, tries
from hearless.recipes.spectral_transcoder.settings import Settings, from_words
from hearless.report import Report, Row
from hearless.spec import spec
from hearless.statistics import Measure

TABLE = spec(CsvLabels, table="meta.csv")
SMALL = {"kernels": "3x5", "layer_counts": "5", "dilations": "1", "channel_counts": "64", "light_block_counts": "4"}


def made(backbone: str = "resnet38", **words: Any) -> Settings:
    return from_words(TABLE, backbone=backbone, **words)


def test_the_grid_is_a_product_and_holds_the_papers_choice() -> None:
    found = tries(made(), Options())
    assert len(found) == 3 * 2 * 2 * 2 + 3 * 3
    assert len({one.recipe.digest for one in found}) == len(found)
    assert len({one.label for one in found}) == len(found)
    usual = [one for one in found if one.settings == made()]
    assert [one.recipe.digest for one in usual] == [cnn_logits.recipe(made()).digest, light.recipe(made()).digest]
    assert usual[0].label == "CNN-logits: 3×5, 5 layers, 64 channels, dilation 1"


def test_costs_are_those_of_the_paper_and_by_hand() -> None:
    full, small = tries(made(), Options(**{**SMALL, "light_block_counts": "6"}, light_channel_counts="32"))
    places = 101 * 64
    inner = 3 * (64 * 64 * 15 + 64)
    assert full.cost() == (186_497, (64 * 15 + 64 + inner + 64 * 15 + 1) * places)
    norms = 6 * 2 * 32
    layers = 32 * 15 + 32 + 6 * (32 * 15 + 64 * 32 + 64 + 32 * 64 + 32) + 13 * 32 + 13
    assert small.cost() == (layers + norms, layers * 8 * 64 + norms)
    assert small.cost()[1] < full.cost()[1] / 80


def test_learning_rates_multiply_both() -> None:
    found = tries(made(), Options(**SMALL, light_channel_counts="32", learning_rates="0.001,0.0001"))
    assert [one.recipe.stages[0].learning_rate for one in found] == pytest.approx([1e-3, 1e-4, 3e-3, 3e-4])
    assert found[1].label.endswith("dilation 1, rate 0.0001")


def test_rows_tell_the_cost_and_the_best_is_chosen_on_validation() -> None:
    study = table([made()], Options(**SMALL, light_channel_counts="32,64"), task="A task.")
    assert [row.label for row in study.rows] == [
        "CNN-logits: 3×5, 5 layers, 64 channels, dilation 1", "light: 32 channels, 4 blocks",
        "light: 64 channels, 4 blocks", "chosen: CNN-logits", "chosen: light",
    ]  # fmt: skip
    assert study.rows[0].condition["parameters"] == "186,497"
    assert study.rows[0].condition[COST] == "1206"
    assert [one.digest for one in study.rows[4].options] == [row.options[0].digest for row in study.rows[1:3]]
    assert study.judged_on == "validation"
    assert study.training_time
    assert ("chosen: light", "chosen: CNN-logits") in study.compare
    assert ("chosen: light", "light: 64 channels, 4 blocks") in study.compare
    assert all(option.select == "min:loss" for row in study.rows for option in row.options)


def test_one_family_alone() -> None:
    study = table([made(rows="light", epochs=7)], Options(light_channel_counts="8", light_block_counts="2"))
    assert [row.label for row in study.rows] == ["light: 8 channels, 2 blocks", "chosen: light"]
    assert study.compare == (("chosen: light", "light: 8 channels, 2 blocks"),)
    assert study.rows[0].options[0].name.endswith("-8_channels-2_blocks")


def test_the_picture_has_a_line_a_family_and_leaves_out_the_chosen() -> None:
    rows = (
        Row("a", {"transcoder": "light", COST: "67.5"}, {"agreement": Measure(0.5)}),
        Row("b", {"transcoder": "light", COST: "1206"}, hole="stopped"),
        Row("chosen: light", {"transcoder": "light"}, {"agreement": Measure(0.5)}),
    )
    assert by_cost(Report("t", "", ("agreement",), rows)).lines == {"light": [(67.5, Measure(0.5))]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"kernels": "3,5"}, "kernels must be frames x bands parted by commas, such as 3x5,5x5, got '3,5'"),
        ({"kernels": "3xfive"}, "kernels must be numbers above 0"),
        ({"kernels": "4x5"}, "must be odd"),
        ({"layer_counts": "3.5"}, "layer_counts must be whole numbers parted by commas, got '3.5'"),
        ({"channel_counts": ""}, "channel_counts must be numbers above 0 parted by commas, got ''"),
        ({"learning_rates": "0.1,-1"}, "learning_rates must be numbers above 0"),
    ],
)
def test_wrong_lists_are_refused(words: dict[str, str], said: str) -> None:
    with pytest.raises(HearlessError, match=said.replace(".", r"\.")):
        table([made()], Options(**words))


def test_one_classifier() -> None:
    with pytest.raises(HearlessError, match="a search takes one frozen classifier, got 2"):
        table([made(), made("yamnet")], Options())


@pytest.mark.usefixtures("cached")
def test_it_runs_chooses_and_draws(tiny: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "mn04.safetensors"
    save_file(MobileNetV3(n_classes=527, width=0.4).state_dict(), weights)
    report = door.study(
        "spectral_transcoder/search", labels=tiny / "meta.csv", runs=tmp_path / "runs", backbones=["mn04"],
        weights=weights, folds=["1"], place=tmp_path / "out", epochs=1, batch_size=6, clip_s=0.5, validation=0.3,
        rows="light", light_channel_counts="2,3", light_block_counts="1",
    )  # fmt: skip
    assert [row.hole for row in report.rows] == ["", "", ""]
    agreement = [row.metrics["loss"].value for row in report.rows]
    assert agreement[2] == pytest.approx(min(agreement[:2]))
    assert any("chosen: light: chosen on each fold's own validation part" in note for note in report.notes)
    assert (tmp_path / "out" / "search.png").stat().st_size > 10_000
