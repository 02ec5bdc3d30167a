"""Rows that the tables of paper 002 share, and its published numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hearless.interfaces import HearlessError
from hearless.recipes._shared import published_rows, the_one
from hearless.recipes.time_frequency_enhancer import student, teacher
from hearless.recipes.time_frequency_enhancer.settings import Settings
from hearless.study import Row, Study

BACKBONES = ("efficientnetv2_b2",)

SETS = {"cross_entropy": ("esc50_acc", "ESC-50"), "binary_cross_entropy": ("sc2_acc", "Speech Commands V2")}
"""The paper's column by the hard loss of Table I, and the data set's name."""


def published(settings: Settings, model: str, *, taught: bool | None) -> dict[str, float]:
    """Return paper 002's value for a model with CMKD, without, or (None) of the teacher."""
    column, data = SETS[settings.hard]
    kd = {True: "1", False: "0", None: ""}[taught]
    found = published_rows("time_frequency_enhancer", "paper_002_results", model=model, kd=kd)
    return {f"paper 002, {model} on the whole {data}": round(float(row[column]) / 100, 6) for row in found[:1]}


def teacher_row(settings: Settings) -> Row:
    """Return the teacher's row."""
    condition = {"network": settings.teacher.name, "CMKD": "–"}
    return Row("teacher", condition, (teacher.recipe(settings),), published=published(settings, "AST", taught=None))


def student_row(settings: Settings, n_blocks: int, *, taught: bool = True) -> Row:
    """Return a student's row."""
    name = f"TFE({n_blocks})-ENV2" if n_blocks else "ENV2"
    return Row(
        label_of(n_blocks, taught=taught), {"network": settings.backbone.name, "CMKD": "yes" if taught else "no"},
        (student.recipe(settings, n_blocks, taught=taught),), published=published(settings, name, taught=taught),
    )  # fmt: skip


def label_of(n_blocks: int, *, taught: bool = True) -> str:
    """Return what a table calls a student."""
    name = f"TFE({n_blocks})" if n_blocks else "no enhancer"
    return name if taught else f"{name}, without CMKD"


def one(each: Sequence[Settings], rates: Sequence[int]) -> Settings:
    """Return the one backbone's settings of a study of this folder.

    Raises:
        HearlessError: several backbones, or rates.
    """
    settings = the_one(each, "studies of paper 002 take one backbone at a time")
    if rates:
        raise HearlessError(
            f"paper 002 hears 16 kHz alone, got rates {list(rates)}; see time_frequency_enhancer/low_rate."
        )
    return settings


def table(
    name: str, title: str, rows: Iterable[Row], compare: Iterable[tuple[str, str]], *, folds: tuple[str, ...],
    seeds: tuple[int, ...], task: str,
) -> Study:  # fmt: skip
    """Return a table of the paper."""
    return Study(
        name=f"time_frequency_enhancer/{name}", title=title, task=task, rows=tuple(rows), seeds=seeds, folds=folds,
        compare=tuple(compare), notes=("The paper repeats five times and gives mean ± deviation.",),
    )  # fmt: skip
