"""Does an enhancer help a low-rate listener?  TFE(0, 1, 2, 4) in front of a low-rate student (ours; nobody has asked).

The students of `low_rate`: taught by the 16 kHz generation, at 16 kHz (first seed only) and at 1 kHz, α and T chosen
per fold by the 1 kHz CSSD student without enhancer on that fold's validation part.  TFE(0) at 1 kHz is `low_rate/cssd`.
Each enhancer stands twice: with PyTorch's start and with one from which its mask hears the sound.
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
from hearless.recipes.time_frequency_enhancer.student import start_of
from hearless.spec import spec
from hearless.study import Row, Study

BACKBONES = ("mn04",)
SETTINGS = "low_rate"
"""Whose settings this study takes."""
MASKS = ((0, "torch"), *((n_blocks, how) for how in ("torch", "signal") for n_blocks in (1, 2, 4)))
"""Blocks and initialisation of the rows' enhancers; the first has none."""


def enhanced(recipe: Recipe, n_blocks: int, initialisation: str = "torch") -> Recipe:
    """Return a recipe with TFE(``n_blocks``) in front of its student's classifier; 0 leaves it."""
    if not n_blocks:
        return recipe
    enhancer = spec(TimeFrequencyEnhancer, n_blocks=n_blocks, initialisation=initialisation)
    called = f"tfe{n_blocks}{start_of(initialisation)}-{recipe.name.partition('/')[2]}"
    return replace(recipe, student=replace(recipe.student, enhancer=enhancer), name=f"time_frequency_enhancer/{called}")


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (TEACHER_RATE_HZ, 1000), folds: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,), task: str = "",
) -> Study:  # fmt: skip
    """Return the table of one backbone."""
    settings, made, pairs = the_one(each), [], []
    judges = grid_of(cssd.recipe, settings, min(rates), GRID)
    for rate in sorted(rates, reverse=True):
        for n_blocks, how in MASKS:
            enhancer = _enhancer(n_blocks, how)
            condition = {"rate": rate_text(rate), "enhancer": enhancer, "network": settings.backbone.name}
            options = tuple(enhanced(made, n_blocks, how) for made in grid_of(cssd.recipe, settings, rate, GRID))
            once = None if rate < TEACHER_RATE_HZ else seeds[:1]
            made.append(Row(_label(n_blocks, how, rate), condition, options, chosen_by=judges, seeds=once))
        pairs += [(_label(*mask, rate), _label(*MASKS[0], rate)) for mask in MASKS[1:]]
    return Study(
        name="time_frequency_enhancer/low_rate", title="An enhancer in front of a low-rate listener", task=task,
        rows=tuple(made), seeds=seeds, folds=folds, compare=tuple(pairs),
    )  # fmt: skip


def _enhancer(n_blocks: int, initialisation: str) -> str:
    return f"{label_of(n_blocks)}{start_of(initialisation).replace('-', ' ')}"


def _label(n_blocks: int, initialisation: str, rate_hz: int) -> str:
    return f"{_enhancer(n_blocks, initialisation)}, {rate_text(rate_hz)}"
