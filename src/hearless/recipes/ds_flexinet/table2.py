"""Table II of paper 004: four sizes, in fp32 and in int8, all taught by the fused teachers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from hearless.classifiers.ds_flexinet import WIDTHS
from hearless.recipes.ds_flexinet import student
from hearless.recipes.ds_flexinet._tables import BACKBONES, DATA, cost, made, one, printed, table, tested
from hearless.recipes.ds_flexinet.settings import Settings
from hearless.study import Row, Study

__all__ = ["BACKBONES", "DATA", "study"]


def sizes(settings: Settings, fold: str, names: Sequence[str] = tuple(WIDTHS)) -> list[Row]:
    """Return two rows a size: fp32, and int8 training after it."""
    rows = []
    for size in names:
        each, paper = replace(settings, size=size), printed("table2", system=size)
        full, small = (partial(cost, each, precision) for precision in ("fp32", "int8"))
        rows.append(made(size, {}, student.recipe(each, fold), paper, "acc_percent", counted=full))
        rows.append(made(f"{size}, int8", {}, student.int8(each, fold), paper, "acc_qat_percent", counted=small))
    return rows


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (), folds: tuple[str, ...] = (), seeds: tuple[int, ...] = (0,),
    task: str = "",
) -> Study:  # fmt: skip
    """Return the table; the size that was named is of no account."""
    settings = one(each, rates)
    fold, folds = tested(settings, folds)
    rows = sizes(settings, fold)
    compare = [(f"{size}, int8", size) for size in WIDTHS] + [("sm4", "sm1"), ("sm2", "sm1")]
    return table("table2", "What a size costs and brings", rows, compare, settings, folds=folds, seeds=seeds, task=task)
