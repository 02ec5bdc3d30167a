"""Table II of paper 002: TFE(1), TFE(2) and TFE(4) in front of EfficientNetV2, all with CMKD."""

from __future__ import annotations

from collections.abc import Sequence

from hearless.recipes.time_frequency_enhancer._tables import BACKBONES, label_of, one, student_row, table
from hearless.recipes.time_frequency_enhancer.settings import Settings
from hearless.study import Study

__all__ = ["BACKBONES", "study"]


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (), folds: tuple[str, ...] = (), seeds: tuple[int, ...] = (0,),
    task: str = "",
) -> Study:  # fmt: skip
    """Return the table of one backbone on one data set."""
    settings = one(each, rates)
    rows = [student_row(settings, n) for n in (1, 2, 4)]
    compare = [(label_of(4), label_of(1)), (label_of(4), label_of(2))]
    return table("table2", "How many enhancer blocks", rows, compare, folds=folds, seeds=seeds, task=task)
