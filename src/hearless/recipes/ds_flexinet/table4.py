"""Table IV of paper 004: a student without teachers, with averaged and with fused ones, and each teacher alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from hearless.recipe import Recipe
from hearless.recipes.ds_flexinet import student, teacher
from hearless.recipes.ds_flexinet._tables import BACKBONES, DATA, HOW, made, one, printed, table, tested
from hearless.recipes.ds_flexinet.settings import Settings
from hearless.study import Row, Study

__all__ = ["BACKBONES", "DATA", "study"]

PAPER = {"none": "teacher_without", "mean": "averaged", "fitted": "fused"}


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (), folds: tuple[str, ...] = (), seeds: tuple[int, ...] = (0,),
    task: str = "",
) -> Study:  # fmt: skip
    """Return the table of one size (the paper's is sm4)."""
    settings = one(each, rates)
    fold, folds = tested(settings, folds)
    rows = []
    for how, words in HOW.items():
        recipe = student.recipe(replace(settings, how=how), fold)
        paper = printed("table4", variant=PAPER[how])
        rows.append(made(words, {"network": settings.size}, recipe, paper, name=f"sm4, {words}"))
    for label, trained in teacher.every(settings, fold).items():
        recipe = cast(Recipe, trained.recipe)
        rows.append(Row(label, {"network": recipe.student.classifier.name}, (recipe,), seeds=(trained.seed or 0,)))
    none, mean, fitted = HOW.values()
    compare = [(mean, none), (fitted, none), (fitted, mean)]
    return table("table4", "No teacher, averaged and fused ones", rows, compare, settings, folds=folds, seeds=seeds,
                 task=task)  # fmt: skip
