"""Does an enhancer help a low-rate listener?  TFE(0, 1, 2, 4) in front of a low-rate student (ours; nobody has asked).

The students of `low_rate`: taught by the 16 kHz generation, at 16 kHz (first seed only) and at 1 kHz, α and T chosen
per fold by the 1 kHz CSSD student without enhancer on that fold's validation part.  TFE(0) at 1 kHz is `low_rate/cssd`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hearless.enhancers.time_frequency_enhancer import TimeFrequencyEnhancer
from hearless.recipe import Recipe
from hearless.recipes._shared import TEACHER_RATE_HZ, the_one
from hearless.recipes.low_rate import cssd
from hearless.recipes.low_rate.settings import Settings
from hearless.recipes.low_rate.table1 import GRID, grid_of, rate_text
from hearless.recipes.time_frequency_enhancer._tables import label_of
from hearless.spec import spec
from hearless.study import Row, Study

BACKBONES = ("mn04",)
SETTINGS = "low_rate"
"""Whose settings this study takes."""


def enhanced(recipe: Recipe, n_blocks: int) -> Recipe:
    """Return a recipe with TFE(``n_blocks``) in front of its student's classifier; 0 leaves it."""
    if not n_blocks:
        return recipe
    student = replace(recipe.student, enhancer=spec(TimeFrequencyEnhancer, n_blocks=n_blocks))
    return replace(
        recipe, student=student, name=f"time_frequency_enhancer/tfe{n_blocks}-{recipe.name.partition('/')[2]}"
    )


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (TEACHER_RATE_HZ, 1000), folds: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,), task: str = "",
) -> Study:  # fmt: skip
    """Return the table of one backbone."""
    settings, made, pairs = the_one(each), [], []
    judges = grid_of(cssd.recipe, settings, min(rates), GRID)
    for rate in sorted(rates, reverse=True):
        for n_blocks in (0, 1, 2, 4):
            condition = {"rate": rate_text(rate), "enhancer": label_of(n_blocks), "network": settings.backbone.name}
            options = tuple(enhanced(made, n_blocks) for made in grid_of(cssd.recipe, settings, rate, GRID))
            low = rate < TEACHER_RATE_HZ
            made.append(Row(
                _label(n_blocks, rate), condition, options, chosen_by=judges, seeds=None if low else seeds[:1],
            ))  # fmt: skip
        pairs += [(_label(n_blocks, rate), _label(0, rate)) for n_blocks in (1, 2, 4)]
    return Study(
        name="time_frequency_enhancer/low_rate", title="An enhancer in front of a low-rate listener", task=task,
        rows=tuple(made), seeds=seeds, folds=folds, compare=tuple(pairs),
    )  # fmt: skip


def _label(n_blocks: int, rate_hz: int) -> str:
    return f"{label_of(n_blocks)}, {rate_text(rate_hz)}"
