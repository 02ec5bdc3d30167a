"""Table 3's other baseline: the frozen classifier's classes gathered by hand; the paper's numbers of several labels."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hearless import door
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.datasets.sonyc_ust import SONYCUST
from hearless.datasets.urbansound8k import UrbanSound8K
from hearless.interfaces import HearlessError
from hearless.lab import Bench, Lab
from hearless.labels.groups import members
from hearless.recipes.spectral_transcoder import head, light, table3
from hearless.recipes.spectral_transcoder.settings import Settings, from_words
from hearless.run import Predictions, Run
from hearless.spec import Spec, spec
from hearless.teachers import Trained

TABLE, URBAN = spec(CsvLabels, table="meta.csv"), spec(UrbanSound8K)
FAST = {"epochs": 1, "batch_size": 6, "clip_s": 0.5, "head_epochs": 1, "head_batch_size": 6, "validation": 0.3}


def made(dataset: Spec = URBAN, **words: Any) -> Settings:
    return from_words(dataset, backbone="yamnet", **words)


def test_rows_stand_twice_where_classes_are_mapped() -> None:
    rows = table3.study([made(rows="PINV,light")]).rows
    assert [row.label for row in rows] == [
        "sound", "PINV", "light", "sound, classes by hand", "PINV, classes by hand", "light, classes by hand",
    ]  # fmt: skip
    assert [row.condition["head"] for row in rows] == ["trained"] * 3 + ["by hand"] * 3
    assert [row.label for row in table3.study([made(TABLE, rows="PINV")]).rows] == ["sound", "PINV"]
    assert len(table3.study([made(TABLE, rows="PINV", aggregation="urbansound8k")]).rows) == 4
    both = table3.study([made(rows="PINV"), from_words(URBAN, backbone="mn04", rows="PINV")])
    assert both.rows[3].label == "PINV, classes by hand, yamnet"
    assert ("sound, mn04", "sound, classes by hand, mn04") in both.compare


def test_nothing_trains_and_the_transcoder_is_the_same() -> None:
    settings = made()
    recipe = head.by_hand(settings, light.recipe(settings))
    assert recipe.stages == ()
    assert recipe.initial == Trained(light.recipe(settings))
    assert recipe.student.head is not None
    assert recipe.student.head.arguments["mapping"] == "urbansound8k"
    assert recipe.student.head.arguments["n_scores"] == 521
    assert recipe.name.startswith("spectral_transcoder/by_hand-yamnet-light")
    assert head.by_hand(settings).initial == settings.start


def test_of_several_labels_the_papers_macro_auprc_stands_beside() -> None:
    study = table3.study([made(spec(SONYCUST), multi_label=True)])
    numbers = {row.label: row.published_more for row in study.rows if row.published_more}
    assert numbers == {"sound": {"mAP": 0.48}, "CNN-logits": {"mAP": 0.34}}
    assert not any(row.published for row in study.rows)
    assert any("macro AUPRC on SONYC-UST" in note for note in study.notes)
    assert made(spec(SONYCUST)).mapping == "sonyc_ust"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "mn04.safetensors"
    save_file(MobileNetV3(n_classes=527, width=0.4).state_dict(), path)
    return path


@pytest.mark.usefixtures("cached")
def test_the_table_runs_on_urbansound8k_and_gathers_what_the_classifier_says(tmp_path: Path, weights: Path) -> None:
    place = Path(__file__).parents[1] / "fakes" / "corpora.py"
    loaded = importlib.util.spec_from_file_location("corpora", place)
    assert loaded is not None
    assert loaded.loader is not None
    corpora = importlib.util.module_from_spec(loaded)
    loaded.loader.exec_module(corpora)
    corpora.urbansound8k(tmp_path / "data")
    report = door.study(
        "spectral_transcoder/table3", dataset_name="urbansound8k", root=tmp_path / "data", runs=tmp_path / "runs",
        backbones=["mn04"], weights=weights, folds=["1"], rows="PINV", **FAST,
    )  # fmt: skip
    assert [row.hole for row in report.rows] == [""] * 4
    assert report.rows[2].metrics["training time"].value == 0
    assert report.columns == ("accuracy", "macro_f1", "training time")
    (folder,) = (tmp_path / "runs").glob("spectral_transcoder-by_hand-mn04-sound-*/fold1-seed0")
    here = Lab(tmp_path / "runs", tmp_path / "data")
    run = Run(folder)
    pipeline, found = here.pipeline(run), Predictions.load(run.predictions("test"))
    assert run.measured["labels"] == ["dog_bark", "siren"]
    bench = Bench.prepare(here, run.recipe, "1", 0, None)
    batch = next(bench.loader(bench.test).in_order())
    with torch.inference_mode():
        features = pipeline.features(pipeline.observe(batch.waveform, batch.rate_hz))
        logits = pipeline.classifier(features).logits.numpy()
    mapped = members("urbansound8k", "audioset", ("dog_bark", "siren")).values()
    expected = np.stack([logits[:, places].max(1) for places in mapped], 1)
    np.testing.assert_allclose(found.logits, expected, atol=1e-4)


@pytest.mark.usefixtures("cached")
def test_labels_that_nobody_mapped_leave_a_hole_that_says_so(tiny: Path, tmp_path: Path, weights: Path) -> None:
    settings = from_words(
        TABLE, backbone="mn04", weights=weights, rows="PINV", aggregation="urbansound8k", **FAST
    )  # fmt: skip
    with pytest.raises(HearlessError, match=r"must be urbansound8k's \(air_conditioner.*got hiss, hum, tick; "):
        Lab(tmp_path / "runs", tiny).run(head.by_hand(settings), "1", 0)
