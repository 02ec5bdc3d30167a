"""Table III of paper 004: sm2 in int8 beside other systems of the paper's table.  Its runs are those of `table2`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hearless.recipes._shared import published_rows
from hearless.recipes.ds_flexinet._tables import BACKBONES, DATA, one, share, table, tested
from hearless.recipes.ds_flexinet.settings import Settings
from hearless.recipes.ds_flexinet.table2 import sizes
from hearless.study import Study

__all__ = ["BACKBONES", "DATA", "study"]


def others() -> dict[str, float]:
    """Return the paper's accuracies of other systems, with what they cost."""
    return {
        f"{row['model']}, {row['params_K']} K, {row['macs_M']} M MACs, TAU 2022 Mobile": share(row["acc_percent"])
        for row in published_rows("ds_flexinet", "paper_004_table3")
        if not row["model"].startswith("sm")
    }


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (), folds: tuple[str, ...] = (), seeds: tuple[int, ...] = (0,),
    task: str = "",
) -> Study:  # fmt: skip
    """Return the table of the size that was named, the paper's sm2; what the paper lists beside it is in the notes."""
    settings = one(each, rates)
    fold, folds = tested(settings, folds)
    full, small = sizes(settings, fold, (settings.size,))
    small = replace(small, published={**small.published, **others()})
    compare = [(small.label, full.label)]
    return table("table3", "Beside other small systems", (small, full), compare, settings, folds=folds, seeds=seeds,
                 task=task)  # fmt: skip
