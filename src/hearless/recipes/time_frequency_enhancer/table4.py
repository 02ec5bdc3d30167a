"""Table IV of paper 002: without CMKD; beside it, for paired tests, the same students with CMKD."""

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
    rows = [student_row(settings, n, taught=taught) for taught in (False, True) for n in (0, 4)]
    compare = [
        (label_of(4, taught=False), label_of(0, taught=False)),
        *((label_of(n), label_of(n, taught=False)) for n in (0, 4)),
    ]
    return table("table4", "With distillation and without", rows, compare, folds=folds, seeds=seeds, task=task)
