"""Several teachers of a low-rate student: 16, 8 and 4 kHz, their logits averaged (paper 000's future work)."""

from __future__ import annotations

from collections.abc import Sequence

from hearless.recipe import Recipe
from hearless.recipes._shared import the_one
from hearless.recipes.low_rate import cssd, fine_tuned, full_band
from hearless.recipes.low_rate.settings import Settings
from hearless.recipes.low_rate.table1 import GRID, grid_of, rate_text
from hearless.study import Row, Study
from hearless.teachers import Fused, Trained

BACKBONES = ("mobilenetv2",)
TEACHERS_HZ = (8000, 4000)


def fused(settings: Settings, rate_hz: int = 1000) -> Recipe:
    """Return the student of the 16 kHz generation and of the fine-tuned ones at 8 and 4 kHz."""
    teachers = (full_band.recipe(settings), *(fine_tuned.recipe(settings, hz) for hz in TEACHERS_HZ))
    name = f"low_rate/ensemble-{rate_hz}Hz-alpha{settings.alpha:g}-T{settings.temperature:g}"
    return settings.recipe(name, rate_hz, Fused(tuple(Trained(teacher) for teacher in teachers)))


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (1000, 2000), folds: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,), task: str = "",
) -> Study:  # fmt: skip
    """Return the table of one backbone; α and T are chosen by CSSD at the lowest rate, as in `table1`."""
    settings = the_one(each)
    judges = grid_of(cssd.recipe, settings, min(rates), GRID)
    made: list[Row] = []
    pairs: list[tuple[str, str]] = []
    for rate in sorted(rates, reverse=True):
        condition = {"rate": rate_text(rate), "network": settings.backbone.name}
        made.append(Row(f"fine-tuned, {rate_text(rate)}", condition, (fine_tuned.recipe(settings, rate),)))
        for label, make in (("CSSD", cssd.recipe), ("16 + 8 + 4 kHz", fused)):
            options = grid_of(make, settings, rate, GRID)
            made.append(Row(f"{label}, {rate_text(rate)}", condition, options, chosen_by=judges))
        three = made[-1].label
        pairs += [(three, f"CSSD, {rate_text(rate)}"), (three, f"fine-tuned, {rate_text(rate)}")]
    return Study(
        name="low_rate/ensemble", title="Three teachers or one", task=task, rows=tuple(made), seeds=seeds, folds=folds,
        compare=tuple(pairs),
    )  # fmt: skip
