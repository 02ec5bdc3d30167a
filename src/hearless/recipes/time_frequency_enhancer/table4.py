"""Table IV of paper 002: without CMKD; beside it, for paired tests, the teacher and the same students with CMKD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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
    rows = [teacher_row(settings), *(student_row(settings, n, taught=False) for n in (0, 4))]
    rows += [replace(student_row(settings, n), label=_taught(n)) for n in (0, 4)]
    compare = [
        (label_of(4, taught=False), label_of(0, taught=False)),
        *((_taught(n), label_of(n, taught=False)) for n in (0, 4)),
    ]
    return table("table4", "With distillation and without", rows, compare, folds=folds, seeds=seeds, task=task)


def _taught(n_blocks: int) -> str:
    """Return what this table calls a student with CMKD, beside those without."""
    return f"{label_of(n_blocks)}, with CMKD"
