"""Accuracy against sampling rate, 250 Hz to 8 kHz (paper 001 asks for more rates): four methods, and one for all rates.

α and T are chosen at 1 kHz on each fold's own validation part and reused.
"""

from __future__ import annotations

from collections.abc import Sequence

from hearless.recipes.low_rate import many_rates, table1
from hearless.recipes.low_rate.settings import Settings
from hearless.recipes.low_rate.table1 import GRID, pairs_at, rate_text, rows
from hearless.study import Row, Study

BACKBONES = table1.BACKBONES
RATES_HZ = (250, 500, 1000, 2000, 4000, 8000)
CHOSEN_AT_HZ = 1000


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = RATES_HZ, folds: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,), task: str = "",
) -> Study:  # fmt: skip
    """Return the table: a block of rows for each backbone."""
    made: list[Row] = []
    pairs: list[tuple[str, str]] = []
    for settings in each:
        suffix = f", {settings.backbone.name}" if len(each) > 1 else ""
        chosen_at = CHOSEN_AT_HZ if CHOSEN_AT_HZ in rates else None
        made += rows(settings, rates, GRID, suffix, chosen_at)
        one = many_rates.recipe(settings)
        for rate in sorted(rates, reverse=True):
            condition = {"rate": rate_text(rate), "method": "many rates", "network": settings.backbone.name}
            label = f"many rates, {rate_text(rate)}{suffix}"
            made.append(Row(label, condition, (one,), heard_through=settings.view(rate, 0)))
            pairs += [*pairs_at(rate, suffix), (label, f"fine-tuned, {rate_text(rate)}{suffix}")]
    return Study(
        name="low_rate/rates", title="How low can the rate go?", task=task, rows=tuple(made), seeds=seeds, folds=folds,
        compare=tuple(pairs),
    )  # fmt: skip
