"""Paper 003's recipes and studies: rows and numbers of its tables, what trains, learning rates, words."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import save_file

from hearless.captures.full_band import FullBand
from hearless.captures.third_octave import ThirdOctave
from hearless.datasets.csv_labels import CsvLabels
from hearless.datasets.several_tables import SeveralTables
from hearless.frontends.band_levels import BandLevels
from hearless.interfaces import Frontend, HearlessError
from hearless.lab import Lab
from hearless.recipe import Recipe
from hearless.recipes.spectral_transcoder import (
    cnn_logits,
    cnn_mels,
    efficientnet,
    head,
    learning_curve,
    light,
    pinv,
    retrained,
    search,
    table2,
    table3,
)
from hearless.recipes.spectral_transcoder.settings import Settings, from_words
from hearless.spec import spec
from hearless.study import Question, Row, Study
from hearless.teachers import Pretrained, Trained

TABLE = spec(CsvLabels, table="meta.csv")


def made(backbone: str = "resnet38", **words: Any) -> Settings:
    return from_words(TABLE, backbone=backbone, **words)


def printed(shared: Path, name: str) -> list[dict[str, str]]:
    with (shared / "papers" / "tables" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def said(row: Row) -> float | None:
    return next(iter(row.published.values()), None)


OURS = ("CNN-mix", "light")
"""Rows that the paper does not have."""


@pytest.mark.data
@pytest.mark.parametrize(("backbone", "network"), [("resnet38", "PANN"), ("yamnet", "YAMNet")])
def test_table_2_has_the_papers_rows_and_numbers(shared: Path, backbone: str, network: str) -> None:
    theirs = {
        row["model"]: float(row["ptopa_fc_percent"]) / 100
        for row in printed(shared, "003_table2_tau2020_eval.csv")
        if row["classifier"] == network
    }
    study: Study = table2.study([made(backbone)])
    ours = {row.label: said(row) for row in study.rows}
    assert [ours.pop(label) for label in OURS] == [None, None]
    names = {
        "classifier retrained": f"{network}-1/3oct",
        "EfficientNet-B0": "Effnet-b0",
        "EfficientNet-B7": "Effnet-b7",
    }
    assert {names.get(label, label): value for label, value in ours.items()} == pytest.approx(theirs)
    assert all(source == f"paper 003, {network} on TAU 2020" for row in study.rows for source in row.published)
    assert study.compare == (
        ("CNN-logits", "PINV"), ("CNN-logits", "CNN-mels"), ("CNN-mix", "CNN-logits"), ("light", "PINV"),
        ("light", "CNN-logits"),
    )  # fmt: skip


@pytest.mark.data
@pytest.mark.parametrize(("backbone", "network"), [("resnet38", "PANN"), ("yamnet", "YAMNet")])
def test_kl_mel_error_and_training_time_stand_beside_as_well(shared: Path, backbone: str, network: str) -> None:
    columns = {"kl": "kl_logits", "mel_mse": "mse_mels", "training time": "training_time_s"}
    theirs = [
        {name: float(row[of]) for name, of in columns.items() if row[of]}
        for row in printed(shared, "003_table2_tau2020_eval.csv")
        if row["classifier"] == network
    ]
    study = table2.study([made(backbone)])
    assert [row.published_more for row in study.rows if row.label not in OURS] == theirs
    assert [row.published_more for row in study.rows if row.label in OURS] == [{}, {}]
    assert study.training_time
    others = {row.label: row.published_more for row in table2.study([made("mn04")]).rows}
    assert set(others["CNN-logits"]) == {"kl", "training time"}  # Mel errors of other features do not compare


@pytest.mark.data
@pytest.mark.parametrize(("backbone", "network"), [("resnet38", "PANN"), ("yamnet", "YAMNet")])
def test_table_3_has_the_papers_numbers(shared: Path, backbone: str, network: str) -> None:
    theirs = {
        row["input"]: float(row["urbansound8k_accuracy_percent"]) / 100
        for row in printed(shared, "003_table3_transfer.csv")
        if row["classifier"] == network
    }
    rows = table3.study([made(backbone)]).rows
    assert {row.label: said(row) for row in rows} == {
        "sound": pytest.approx(theirs["mel"]), "PINV": None, "CNN-mels": None,
        "CNN-logits": pytest.approx(theirs["transcoded"]), **dict.fromkeys(OURS),
    }  # fmt: skip


@pytest.mark.data
def test_views_are_those_of_table_1(shared: Path) -> None:
    rows = printed(shared, "003_table1_representations.csv")
    of = {row["field"]: (row["pann_mel"], row["yamnet_mel"], row["third_octave_cense"]) for row in rows}
    yamnet = made("yamnet")
    views = [made().true_view().build(527), yamnet.true_view().build(521), yamnet.levels_view().build(521)]
    assert [str(view.source_rate_hz) for view in views] == list(of["sample_rate_hz"])
    assert [str(cast(Frontend, view.frontend).n_bands) for view in views] == list(of["frequency_bins"])


def test_panns_hear_the_transcoders_bands() -> None:
    pipeline = made().levels_view().build(527).eval()
    with torch.inference_mode():
        assert pipeline(torch.zeros(1, 29, 8)).logits.shape == (1, 527)


def test_everybody_is_judged_by_the_frozen_classifier_that_hears_the_sound() -> None:
    for backbone, labels, rate_hz in (("resnet38", "audioset", 32000), ("yamnet", "yamnet", 16000)):
        settings = made(backbone)
        for recipe in table2.recipes(settings).values():
            assert recipe.classes == labels
            assert isinstance(recipe.teacher, Pretrained)
            assert recipe.teacher.pipeline == settings.true_view()
            assert recipe.teacher.pipeline.capture == spec(FullBand, rate_hz=rate_hz)
            assert recipe.student.capture == spec(ThirdOctave, interval="fast", bands="published")
            assert (recipe.clip_s, recipe.batch_size) == (1.0, 64)


TRAINING = {
    "cnn_mels": (cnn_mels.recipe, "enhancer", 1e-3, "min:mel_mse", {"logits": 0.0, "features": 1.0}),
    "cnn_logits": (cnn_logits.recipe, "enhancer", 1e-3, "min:loss", {"logits": 1.0, "features": 0.0}),
    "retrained": (retrained.recipe, "classifier", 1e-4, "min:loss", {"logits": 1.0, "features": 0.0}),
    "efficientnet": (efficientnet.recipe, "classifier", 1e-5, "min:loss", {"logits": 1.0, "features": 0.0}),
}


@pytest.mark.parametrize("name", TRAINING)
def test_parts_that_train_and_their_learning_rates_are_the_papers(name: str) -> None:
    make, part, rate, select, objective = TRAINING[name]
    recipe: Recipe = make(made())
    (stage,) = recipe.stages
    assert (stage.trains, stage.schedule, stage.epochs) == ((part,), "constant", 200)
    assert stage.learning_rate == pytest.approx(rate)
    assert recipe.select == select
    (loss,) = stage.objectives
    assert (loss.name, loss.arguments) == ("Transcoding", objective)
    assert recipe.initial == (None if name == "efficientnet" else made().start)


def test_nothing_of_pinv_trains() -> None:
    recipe = pinv.recipe(made())
    assert recipe.stages == ()
    assert recipe.student.enhancer is not None
    assert recipe.student.enhancer.name == "PINVTranscoder"


def test_a_mixed_loss_is_a_recipe_of_its_own() -> None:
    mixed = cnn_logits.recipe(made(), mixed=True)
    assert mixed.name == "spectral_transcoder/cnn_mix-resnet38-fast"
    assert mixed.stages[0].objectives[0].arguments == {"logits": 1.0, "features": 0.1 / 20**2}
    assert mixed.digest != cnn_logits.recipe(made()).digest


@pytest.mark.parametrize(("backbone", "spread"), [("resnet38", 20), ("yamnet", 2.3), ("mn04", 0.9)])
def test_the_light_one_learns_the_mel_too_and_faster(backbone: str, spread: float) -> None:
    recipe = light.recipe(made(backbone, mix=0.2))
    (stage,) = recipe.stages
    assert (stage.trains, stage.schedule, recipe.select) == (("enhancer",), "one_cycle", "min:loss")
    assert stage.learning_rate == pytest.approx(3e-3)
    weights = stage.objectives[0].arguments
    assert (weights["logits"], weights["features"]) == (1.0, pytest.approx(0.2 / spread**2, abs=1e-6))


def test_a_head_is_trained_as_published_behind_the_sound_or_a_transcoder() -> None:
    settings = made("yamnet")
    sound, behind = head.recipe(settings), head.recipe(settings, cnn_logits.recipe(settings))
    for recipe in (sound, behind):
        (stage,) = recipe.stages
        assert (stage.trains, stage.epochs, stage.learning_rate) == (("head",), 30, 1e-3)
        assert (recipe.batch_size, recipe.select, recipe.clip_s) == (32, "max:accuracy", None)
        assert recipe.student.head is not None
        assert recipe.student.head.arguments["n_scores"] == 521
        assert [one.name for one in stage.objectives] == ["BinaryCrossEntropy"]
    assert (sound.student.capture, sound.initial) == (spec(FullBand, rate_hz=16000), settings.start)
    assert behind.initial == Trained(cnn_logits.recipe(settings))
    assert head.recipe(made(multi_label=True)).select == "max:mAP"
    assert head.recipe(made(head_clip_s="4")).clip_s == 4.0
    assert head.by_hand(made(head_clip_s=4.0, aggregation="urbansound8k")).clip_s == 4.0


def test_transcoders_of_heads_may_be_trained_on_more_tables() -> None:
    settings = made(transcoder_tables="meta.csv;../home/meta.csv", transcoder_fold="city/{fold}", rows="light")
    row = table3.study([settings]).rows[1].options[0]
    assert isinstance(row.initial, Trained)
    assert row.initial.fold_beside("10") == "city/10"
    assert row.dataset == TABLE
    assert cast(Recipe, row.initial.recipe).dataset == spec(SeveralTables, tables="meta.csv;../home/meta.csv")
    with pytest.raises(HearlessError, match="transcoder_tables and transcoder_fold come together"):
        table3.study([made(transcoder_fold="city/{fold}")])


@pytest.mark.parametrize(("backbone", "target"), [("resnet38", "pann"), ("yamnet", "yamnet"), ("mn04", "mn04")])
def test_words_reach_the_networks(backbone: str, target: str) -> None:
    settings = made(
        backbone, interval="slow", bands="iec61260", octaves="1/1", channels="8", layers="3", light_channels="4",
        light_blocks=2, dilation="2",
    )  # fmt: skip
    cnn, small = cnn_logits.recipe(settings).student, light.recipe(settings).student
    assert cnn.enhancer is not None
    assert cnn.enhancer.arguments == {
        "target": target, "interval": "slow", "bands": "iec61260", "channels": 8, "layers": 3, "kernel_frames": 3,
        "kernel_bands": 5, "dilation": 2, "octaves": "1/1", "seconds_apart": False,
    }  # fmt: skip
    assert small.enhancer is not None
    assert (small.enhancer.arguments["channels"], small.enhancer.arguments["blocks"]) == (4, 2)
    assert cnn.capture == spec(ThirdOctave, interval="slow", bands="iec61260", octaves="1/1")
    assert cnn.frontend == spec(BandLevels, input_rate_hz=1, octaves="1/1")
    assert "-slow" in light.recipe(settings).name


def test_a_local_weights_file_stands_in_for_the_published_one(tmp_path: Path) -> None:
    path = tmp_path / "yamnet.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    start = made("yamnet", weights=path).start
    assert (start.weights, len(start.sha256)) == (str(path), 64)
    assert made("yamnet").start.weights == "yamnet"


def test_the_papers_protocol_changes_nothing_else() -> None:
    ours, theirs = made(), made(paper=True)
    assert (ours.protocol, theirs.protocol) == ("honest", "paper")
    assert light.recipe(ours).stages == light.recipe(theirs).stages


def test_some_rows_of_a_table_can_be_made_alone() -> None:
    study = table2.study([made(rows="light, PINV"), made("yamnet", rows="PINV,CNN-logits")])
    assert [row.label for row in study.rows] == [
        "PINV, resnet38", "light, resnet38", "PINV, yamnet", "CNN-logits, yamnet",
    ]  # fmt: skip
    assert study.compare == (("light, resnet38", "PINV, resnet38"), ("CNN-logits, yamnet", "PINV, yamnet"))
    assert [row.label for row in table3.study([made(rows="light")]).rows] == ["sound", "light"]


def test_some_rows_can_be_trained_with_the_first_seed_alone() -> None:
    settings = made(once="CNN-mels, CNN-logits", rows="CNN-mels,CNN-logits,light", aggregation="urbansound8k")
    of_label = {row.label: row.seeds for row in table2.study([settings], seeds=(3, 1, 2)).rows}
    assert of_label == {"CNN-mels": (3,), "CNN-logits": (3,), "light": None}
    heads = {row.label: row.seeds for row in table3.study([settings], seeds=(3, 1, 2)).rows}
    assert heads == {
        "sound": None, "CNN-mels": (3,), "CNN-logits": (3,), "light": None, "sound, classes by hand": None,
        "CNN-mels, classes by hand": (3,), "CNN-logits, classes by hand": (3,), "light, classes by hand": None,
    }  # fmt: skip
    assert list(heads)[4:] == [f"{label}, classes by hand" for label in list(heads)[:4]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"once": "CNN"}, "once must be among PINV, CNN-mels, .*, got CNN"),
        ({"rows": "PINV,MLP"}, "rows must be among PINV, CNN-mels, .*, got MLP"),
        ({"interval": "medium"}, "interval must be one of fast, slow, got 'medium'"),
        ({"epoch": 1}, r"settings are multi_label, .*, paper; got epoch\."),
        ({"labels": "audioset"}, r"got labels\."),
        ({"backbone": "cnn14_16k"}, "backbone must be one of resnet38, cnn14, mobilenetv2, yamnet, mn04, got"),
        ({"backbone": "vgg"}, "backbone must be one of"),
        ({"weights": "nowhere.pt"}, "weights must be a file"),
        ({"epochs": "many"}, "epochs must be int, got 'many'"),
    ],
)
def test_wrong_words_are_refused(words: dict[str, Any], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        table2.study([made(**words)])


def test_there_are_no_rates_to_choose(tmp_path: Path) -> None:
    for study in (table2.study, table3.study):
        with pytest.raises(HearlessError, match=r"nothing to this study, got \[1000\]; leave --rates out"):
            study([made()], rates=(1000,))
    for analysis in (search, learning_curve):
        with pytest.raises(HearlessError, match="leave --rates out"):
            analysis.analyse(Lab(tmp_path, tmp_path), Question((made(),), rates=(1000,)))


DIGESTS = {
    "PINV": ("7989d7fd8f75", "856ea562486b"),
    "CNN-mels": ("f45e976d4048", "b23a2324c9d9"),
    "CNN-logits": ("4d9842d531d3", "901cb32023cf"),
    "CNN-mix": ("fb5d5903d241", "f2a00da0fd95"),
    "light": ("4e9d4768fc8c", "6106ec272fdd"),
    "classifier retrained": ("0c41ff59330a", "e9c51435b892"),
}
"""What runs of a row, and of a head behind it, are called: finished ones must be found again."""


@pytest.mark.parametrize("label", DIGESTS)
def test_runs_are_called_as_ever(label: str) -> None:
    settings = made("yamnet")
    recipe = table2.recipes(settings)[label]
    assert (recipe.digest, head.recipe(settings, recipe).digest) == DIGESTS[label]
