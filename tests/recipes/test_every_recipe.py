"""Every recipe and study of every folder trains and evaluates, one epoch a stage, on a tiny table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearless import door
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
}  # fmt: skip
"""Words that make each folder's settings small."""

MAKERS = {name: vars(door.recipe_module(name)) for name in door.recipe_names()}
RECIPES = sorted(name for name, inside in MAKERS.items() if "recipe" in inside)
STUDIES = sorted(name for name, inside in MAKERS.items() if "study" in inside)


def tiny_settings(name: str, **words: Any) -> Any:
    """Return small settings for a recipe or study."""
    system = MAKERS[name].get("SETTINGS", name.partition("/")[0])
    return door.settings(system, TABLE, **{**TINY[system], **words})


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
    assert not set(RECIPES) & set(STUDIES)
    assert set(MAKERS) == {*RECIPES, *STUDIES}


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_and_evaluates(lab: Lab, name: str) -> None:
    run = lab.run(shortened(MAKERS[name]["recipe"](tiny_settings(name))), "1", 0)
    report = door.results([run])
    assert 0 <= report.rows[0].metrics["accuracy"].value <= 1
    assert np.isfinite(run.metrics()[0]["loss"])


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_trains_and_evaluates(lab: Lab, name: str) -> None:
    made: Study = MAKERS[name]["study"]([tiny_settings(name)], folds=("1",), task="A task.")
    rows = tuple(map(first_options, made.rows))
    report = lab.study(replace(made, rows=rows))
    assert [row.hole for row in report.rows] == [""] * len(rows)
    assert len(report.tests) == len(made.compare) > 0
    assert report.task.startswith("A task.")
    assert isinstance(MAKERS[name]["BACKBONES"], tuple)
