"""What makes self-distillation gain at low rates, and what does not?  Judged inside the training folds (ours).

Paper 000 gains 4–6 points on ESC-50; this study asks which of its silent choices matter at 1 kHz: the view the teacher
hears, α and T, epochs, where the student starts, and whether the teacher has memorised the clips it explains.  The test
folds are not touched: every number is that of the fold's own validation part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hearless.augmentations.roll import Roll
from hearless.recipe import Recipe
from hearless.recipes.low_rate import basd, cssd, fine_tuned
from hearless.recipes.low_rate.settings import Settings
from hearless.recipes.low_rate.table1 import GRID, rate_text
from hearless.spec import spec
from hearless.study import Row, Study

BACKBONES = ("mn04",)


def other_view(recipe: Recipe) -> Recipe:
    """Return the same recipe with the roll for the student alone: the teacher explains the clip as it was."""
    return replace(recipe, augmentations=(spec(Roll, student_only=True),), name=f"{recipe.name}-other_view")


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (1000,), folds: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,), task: str = "",
) -> Study:  # fmt: skip
    """Return the table for the first backbone at the first rate."""
    settings, rate = each[0], rates[0]
    longer = replace(
        settings, epochs=2 * settings.epochs, full_band_epochs=settings.full_band_epochs or settings.epochs
    )
    base = cssd.recipe(settings, rate)
    recipes = {
        "fine-tuned": fine_tuned.recipe(settings, rate),
        "fine-tuned, twice the epochs": fine_tuned.recipe(longer, rate),
        "BASD": basd.recipe(settings, rate),
        "CSSD": base,
        "CSSD, twice the epochs": cssd.recipe(longer, rate),
        "CSSD, teacher hears another view": other_view(base),
        "CSSD, teachers that did not train on the clip": cssd.recipe(settings, rate, n_parts=3),
        "CSSD, from the teacher's weights": cssd.recipe(replace(settings, initial="teacher"), rate),
    }
    for alpha, temperature in GRID:
        if (alpha, temperature) != (settings.alpha, settings.temperature):
            at = replace(settings, alpha=alpha, temperature=temperature)
            recipes[f"CSSD, α {alpha:g}, T {temperature:g}"] = cssd.recipe(at, rate)
    condition = {"rate": rate_text(rate), "network": settings.backbone.name}
    rows = tuple(Row(label, condition, (recipe,)) for label, recipe in recipes.items())
    pairs = tuple((label, "fine-tuned") for label in recipes if label != "fine-tuned")
    return Study(
        name="low_rate/choices", title="What makes self-distillation gain at low rates", rows=rows, seeds=seeds,
        folds=folds, compare=(*pairs, *((label, "CSSD") for label in recipes if label.startswith("CSSD, "))),
        task=f"{task} Judged on each fold's validation part; the test folds stay untouched. "
        f"α {settings.alpha:g}, T {settings.temperature:g} unless said.", judged_on="validation",
    )  # fmt: skip
