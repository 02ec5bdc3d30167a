"""Does a low-rate student need the whole Mel axis?  Fine-tuned and CSSD with cropped and with all bands (ours).

The cropped rows are those of `table1` and are reused; α and T of both come from the cropped students' validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hearless.recipes._shared import the_one
from hearless.recipes.low_rate import cssd, fine_tuned
from hearless.recipes.low_rate.settings import Settings
from hearless.recipes.low_rate.table1 import GRID, grid_of, rate_text
from hearless.study import Row, Study

BACKBONES = ("mn04",)


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (1000, 2000), folds: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,), task: str = "",
) -> Study:  # fmt: skip
    """Return the table of one backbone."""
    settings = the_one(each, "low_rate/bands compares one backbone at a time")
    made: list[Row] = []
    pairs: list[tuple[str, str]] = []
    for rate in sorted(rates, reverse=True):
        judges = grid_of(cssd.recipe, settings, min(rates), GRID)
        for bands, heard in (("cropped", settings), ("all", replace(settings, bands=0))):
            condition = {"rate": rate_text(rate), "bands": bands, "network": settings.backbone.name}
            made.append(Row(_label("fine-tuned", rate, bands), condition, (fine_tuned.recipe(heard, rate),)))
            students = grid_of(cssd.recipe, heard, rate, GRID)
            made.append(Row(_label("CSSD", rate, bands), condition, students, chosen_by=judges))
        pairs += [(_label(method, rate, "all"), _label(method, rate, "cropped")) for method in ("fine-tuned", "CSSD")]
    return Study(
        name="low_rate/bands", title="Cropped and whole Mel axes at low rates", task=task, rows=tuple(made),
        seeds=seeds, folds=folds, compare=tuple(pairs),
    )  # fmt: skip


def _label(method: str, rate_hz: int, bands: str) -> str:
    return f"{method}, {rate_text(rate_hz)}, {bands} bands"
