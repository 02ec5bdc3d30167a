"""Paper 000's Fig. 2: how far accuracy varies from fold to fold, fine-tuned against BASD and CSSD, as a picture.

The runs are `table1`'s; nothing else is trained.  The paper draws MobileNetV2 at 2 kHz and prints no numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hearless.pictures import dots
from hearless.recipes._shared import the_one
from hearless.recipes.low_rate import table1
from hearless.recipes.low_rate.settings import Settings
from hearless.report import Report
from hearless.study import Study

BACKBONES = ("mobilenetv2",)
METHODS = ("fine-tuned", "BASD", "CSSD")


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (1000, 2000), folds: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,), task: str = "",
) -> Study:  # fmt: skip
    """Return the table of one backbone."""
    whole = table1.study([the_one(each)], rates=rates, folds=folds, seeds=seeds, task=task)
    rows = tuple(row for row in whole.rows if row.condition["method"] in METHODS)
    return replace(whole, name="low_rate/folds", title="From fold to fold", rows=rows, also=("fold",))


def draw(report: Report, place: Path) -> None:
    """Draw each method's accuracy on each fold, a picture a rate."""
    for rate in dict.fromkeys(str(row.condition["rate"]) for row in report.rows):
        rows = [row for row in report.rows if row.condition["rate"] == rate]
        lines = {str(row.condition["method"]): {f"fold {n}": m for n, m in row.per_fold.items()} for row in rows}
        if any(lines.values()):
            name = f"folds_{rate.replace(' ', '')}.png"
            dots(lines, place / name, title=f"{report.title}, {rate}", measure=report.columns[0])
