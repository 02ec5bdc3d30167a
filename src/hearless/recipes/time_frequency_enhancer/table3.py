"""Table III of paper 002: the AST teacher, EfficientNetV2 and TFE(4)-EfficientNetV2, both with CMKD."""

from __future__ import annotations

from collections.abc import Sequence

from hearless.recipes.time_frequency_enhancer._tables import BACKBONES, label_of, one, student_row, table, teacher_row
from hearless.recipes.time_frequency_enhancer.settings import Settings
from hearless.study import Study

__all__ = ["BACKBONES", "study"]


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (), folds: tuple[str, ...] = (), seeds: tuple[int, ...] = (0,),
    task: str = "",
) -> Study:  # fmt: skip
    """Return the table of one backbone on one data set."""
    settings = one(each, rates)
    rows = [teacher_row(settings), student_row(settings, 0), student_row(settings, 4)]
    compare = [(label_of(4), label_of(0))]
    return table(
        "table3", "Teacher, student, student behind an enhancer", rows, compare, folds=folds, seeds=seeds, task=task
    )
