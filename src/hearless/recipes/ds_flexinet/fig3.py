"""Figure 3 of paper 004: which classes are taken for which, with Residual Normalization by channel and by frequency.

The runs are two of `table5`.  Beside the table lie ``confusions.png`` and a CSV for each norm: shares of each true
class's clips (rows) that were given each class (columns), means over seeds and devices.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.metrics import confusion
from hearless.pictures import confusions
from hearless.recipe import Recipe
from hearless.recipes.ds_flexinet import student
from hearless.recipes.ds_flexinet._tables import BACKBONES, DATA, made, one, printed, table, tested
from hearless.recipes.ds_flexinet.table5 import PAPER, changed, label_of
from hearless.report import Report
from hearless.run import Predictions, write_whole
from hearless.study import Question

__all__ = ["BACKBONES", "DATA", "analyse"]

ROWS = (("residual", True, "adir"), ("residual_frequency", True, "adir"))
MOST = 5
"""Pairs of classes that the notes name."""


def analyse(lab: Lab, question: Question) -> Report:
    """Return the table of the two norms, with pictures of what is taken for what beside it."""
    settings = one(question.each, question.rates)
    if settings.multi_label:
        raise HearlessError("confusions want one label a clip, got several; take table5 instead.")
    fold, folds = tested(settings, question.folds)
    recipes = {label_of(*row): student.recipe(changed(settings, *row), fold) for row in ROWS}
    rows = [
        made(label, {"size": settings.size}, recipes[label], printed("table5", variant=PAPER.get(row, "-")))
        for row, label in zip(ROWS, recipes, strict=True)
    ]
    first, second = recipes
    study = table(
        "fig3", "Which classes are taken for which", rows, [(first, second)], settings, folds=folds,
        seeds=question.seeds, task=question.task,
    )  # fmt: skip
    report = lab.study(study, question.command)
    done = {row.label: shares(lab, recipes[row.label], question.seeds) for row in report.rows if not row.hole}
    labels = lab.table(settings.data(fold)).labels
    for label, matrix in done.items():
        write(question.place / f"confusions_{label.replace(' + ', '_').replace(' ', '_')}.csv", labels, matrix)
    if done:
        confusions(done, labels, question.place / "confusions.png", title=study.title)
    return replace(report, notes=(*report.notes, *(most(label, labels, matrix) for label, matrix in done.items())))


def shares(lab: Lab, recipe: Recipe, seeds: tuple[int, ...]) -> NDArray[Any]:
    """Return which share of each true class was given each class ``[class, class]``, over all folds and seeds."""
    total: Any = 0
    for fold in lab.folds(recipe.dataset):
        for seed in seeds:
            found = Predictions.load(lab.run(recipe, fold, seed).predictions("test"))
            total = total + confusion(found.true.argmax(1), found.logits.argmax(1), found.true.shape[1])
    matrix: NDArray[Any] = total / np.maximum(total.sum(1, keepdims=True), 1)
    return matrix


def most(label: str, labels: tuple[str, ...], matrix: NDArray[Any]) -> str:
    """Say which classes are most often taken for which others."""
    wrong = matrix * (1 - np.eye(len(labels)))
    pairs = np.dstack(np.unravel_index(np.argsort(-wrong, axis=None)[:MOST], wrong.shape))[0]
    said = [f"{labels[i]} for {labels[k]} {100 * wrong[i, k]:.0f} %" for i, k in pairs if wrong[i, k] > 0]
    return f"{label}: most often taken: {', '.join(said) or 'none'}."


def write(path: Path, labels: tuple[str, ...], matrix: NDArray[Any]) -> None:
    """Write a matrix as CSV, a row a true class."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["true", *labels])
    lines.writerows([label, *(f"{value:.4f}" for value in row)] for label, row in zip(labels, matrix, strict=True))
    write_whole(path, text.getvalue().encode())
