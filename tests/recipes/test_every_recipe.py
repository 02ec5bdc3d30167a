"""Every recipe and study of every folder trains and evaluates, one epoch a stage, on a tiny table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hearless import door
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.lab import Lab
from hearless.recipe import Recipe
from hearless.spec import spec
from hearless.study import Row, Study
from hearless.teachers import CrossFitted, Teacher, Trained

pytestmark = pytest.mark.usefixtures("cached")

TABLE = spec(CsvLabels, table="meta.csv")
SHORT: dict[str, Any] = {"epochs": 1, "batch_size": 8, "validation": 0.3}
TINY: dict[str, dict[str, Any]] = {
    "low_rate": {"backbone": "mn02", **SHORT},
    "time_frequency_enhancer": {
        "backbone": "efficientnetv2_b0", "weights": "none", "width": 0.25, "frames": 48, "teacher": "mn02", **SHORT,
    },
    "spectral_transcoder": {
        "backbone": "mn04", "epochs": 1, "batch_size": 6, "clip_s": 0.5, "channels": 2, "layers": 2,
        "light_channels": 2, "light_blocks": 1, "head_epochs": 1, "head_batch_size": 6, "validation": 0.3,
    },
    "ds_flexinet": {
        "backbone": "sm1", "rate_hz": 16000, "clip_s": 0.5, "piece_s": 0.5, "share": 0.1, "teachers": "cp_resnet",
        "teacher_seeds": 1, "teacher_epochs": 1, "teacher_batch_size": 8, "int8_epochs": 1, "stored_draws": 1, **SHORT,
    },
}  # fmt: skip
"""Words that make each folder's settings small."""

WITH_WEIGHTS = ("spectral_transcoder",)
"""Folders whose classifiers are never trained from random weights."""
ROWS = {
    "spectral_transcoder/table2": "PINV,CNN-mels,CNN-logits,light,classifier retrained,EfficientNet-B0",
    "ds_flexinet/table2": "sm1;sm1, int8",
    "ds_flexinet/table4": "no teacher;fused teachers;cp_resnet, FMS, seed 0",
    "ds_flexinet/table5": "RN + FMS + ADIR;BN + FMS + DIR;RN by frequency + FMS + ADIR;RN",
}
"""Not all rows: EfficientNet-B7's 65 million parameters are counted elsewhere, others differ in size or seed alone."""

MAKERS = {name: vars(door.recipe_module(name)) for name in door.recipe_names()}
RECIPES = sorted(name for name, inside in MAKERS.items() if "recipe" in inside)
STUDIES = sorted(name for name, inside in MAKERS.items() if "study" in inside)
ANALYSES = sorted(name for name, inside in MAKERS.items() if "analyse" in inside)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of random weights in mn04's layout."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "mn04.safetensors"
    save_file(MobileNetV3(n_classes=527, width=0.4).state_dict(), path)
    return path


@pytest.fixture
def tiny_settings(weights: Path) -> Callable[[str], Any]:
    """Return a maker of small settings for a recipe or study."""

    def make(name: str) -> Any:
        system = MAKERS[name].get("SETTINGS", name.partition("/")[0])
        words = dict(TINY[system])
        if system in WITH_WEIGHTS:
            words |= {"weights": str(weights)}
        if name in ROWS:
            words |= {"rows": ROWS[name]}
        return door.settings(system, TABLE, **words)

    return make


@pytest.fixture
def lab(tiny: Path, tiny_runs: Path) -> Lab:
    return Lab(tiny_runs, tiny)


def shortened(recipe: Recipe) -> Recipe:
    """Return a recipe, its teachers included, with one epoch a stage and one stored draw."""
    return replace(
        recipe, stages=tuple(replace(stage, epochs=1) for stage in recipe.stages),
        stored_draws=min(1, recipe.stored_draws), teacher=_taught_shortly(recipe.teacher),
        initial=_taught_shortly(recipe.initial),
    )  # fmt: skip


def _taught_shortly(teacher: Teacher | None) -> Any:
    is_made = isinstance(teacher, (Trained, CrossFitted))
    return replace(teacher, recipe=shortened(teacher.recipe)) if is_made else teacher


def first_options(row: Row) -> Row:
    return replace(
        row, options=tuple(map(shortened, row.options[:1])), chosen_by=tuple(map(shortened, row.chosen_by[:1]))
    )


def test_there_are_recipes_and_studies() -> None:
    assert {f"low_rate/{name}" for name in ("basd", "cssd", "fine_tuned", "full_band")} <= set(RECIPES)
    assert {f"time_frequency_enhancer/{name}" for name in ("student", "teacher")} <= set(RECIPES)
    assert {"low_rate/bands", "low_rate/demo", "low_rate/table1"} <= set(STUDIES)
    assert {f"time_frequency_enhancer/{name}" for name in ("table2", "table3", "table4", "low_rate")} <= set(STUDIES)
    assert {"spectral_transcoder/table2", "spectral_transcoder/table3"} <= set(STUDIES)
    assert not set(RECIPES) & set(STUDIES)
    assert not set(ANALYSES) & {*RECIPES, *STUDIES}
    assert set(MAKERS) == {*RECIPES, *STUDIES, *ANALYSES}


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_and_evaluates(lab: Lab, tiny_settings: Callable[[str], Any], name: str) -> None:
    recipe = shortened(MAKERS[name]["recipe"](tiny_settings(name)))
    run = lab.run(recipe, lab.folds(recipe.dataset)[0], 0)
    report = door.results([run])
    assert 0 <= report.rows[0].metrics[report.columns[0]].value <= 1
    assert all(np.isfinite(row["loss"]) for row in run.metrics())


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_trains_and_evaluates(lab: Lab, tiny_settings: Callable[[str], Any], name: str) -> None:
    made: Study = MAKERS[name]["study"]([tiny_settings(name)], folds=("1",), task="A task.")
    rows = tuple(map(first_options, made.rows))
    report = lab.study(replace(made, rows=rows))
    assert [row.hole for row in report.rows] == [""] * len(rows)
    assert len(report.tests) == len(made.compare) > 0
    assert report.task.startswith("A task.")
    assert isinstance(MAKERS[name]["BACKBONES"], tuple)


@pytest.mark.parametrize("name", [name for name, inside in MAKERS.items() if inside.get("WORDS")])
def test_a_studys_own_words_stand_in_its_folders_readme(name: str) -> None:
    text = (Path(door.recipe_module(name).__file__ or "").parent / "README.md").read_text(encoding="utf-8")
    assert not [word for word in MAKERS[name]["WORDS"] if f"`{word}" not in text]
