"""Table V of paper 004, widened: each norm with the paper's augmentation, each augmentation with the paper's norm.

The paper compares five of the eleven.  "No norm" is its first row, whose blocks end without one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hearless.recipes.ds_flexinet import student
from hearless.recipes.ds_flexinet._tables import BACKBONES, DATA, made, one, printed, table, tested
from hearless.recipes.ds_flexinet.settings import Settings
from hearless.study import Study

__all__ = ["BACKBONES", "DATA", "study"]

NORMS = {"residual": "RN", "residual_frequency": "RN by frequency", "batch": "BN", "none": "no norm"}
IMPULSES = {"none": "", "dir": "DIR", "adir": "ADIR"}
PAPER = {
    ("none", True, "dir"): "FMS+DIR", ("batch", True, "dir"): "BN+FMS+DIR", ("batch", True, "adir"): "BN+FMS+ADIR",
    ("residual", True, "dir"): "RN+FMS+DIR", ("residual", True, "adir"): "RN+FMS+ADIR",
}  # fmt: skip
"""The paper's rows by norm, Freq-MixStyle and impulse responses."""

ROWS = (
    *((norm, True, "adir") for norm in NORMS),
    *((norm, True, "dir") for norm in ("residual", "batch", "none")),
    *(("residual", mixed, kind) for mixed, kind in ((True, "none"), (False, "adir"), (False, "dir"), (False, "none"))),
)


def label_of(norm: str, mixed: bool, kind: str) -> str:
    """Return what the table calls a row: "RN + FMS + ADIR"."""
    return " + ".join(part for part in (NORMS[norm], "FMS" if mixed else "", IMPULSES[kind]) if part)


def changed(settings: Settings, norm: str, mixed: bool, kind: str) -> Settings:
    """Return settings with a row's norm and augmentation; Freq-MixStyle as often as the settings say, if on."""
    often = (settings.mixstyle or Settings.mixstyle) if mixed else 0.0
    return replace(settings, norm=norm, mixstyle=often, impulse_responses=kind)


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (), folds: tuple[str, ...] = (), seeds: tuple[int, ...] = (0,),
    task: str = "",
) -> Study:  # fmt: skip
    """Return the table of one size (the paper's is sm4)."""
    settings = one(each, rates)
    fold, folds = tested(settings, folds)
    rows = []
    for row in ROWS:
        norm, mixed, kind = row
        condition = {
            "size": settings.size, "norm": NORMS[norm], "FMS": "yes" if mixed else "no", "DIR": IMPULSES[kind] or "no",
        }  # fmt: skip
        recipe = student.recipe(changed(settings, *row), fold)
        paper = printed("table5", variant=PAPER.get(row, "-"))
        rows.append(made(label_of(*row), condition, recipe, paper, name=f"sm4, {label_of(*row)}"))
    full = label_of("residual", True, "adir")
    compare = [(full, label_of(*row)) for row in ROWS[1:]]
    return table("table5", "Norms and augmentations", rows, compare, settings, folds=folds, seeds=seeds, task=task)
