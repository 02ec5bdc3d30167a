"""Does a low-rate student need all its weights to train?  Full fine-tuning, output layer, LoRA, DoRA (paper 001 §9).

Paper 001 tried DoRA and failed; here every way trains on one budget of epochs, from the published weights, by labels
alone and taught by the 16 kHz generation (CSSD at the settings' α and T).  Adapters take three times the learning rate
of the whole network, as low-rank changes are usually given more; ``alpha`` is twice their rank.  See
`hearless.adapters` for what trains of batch norms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hearless.recipe import Recipe
from hearless.recipes._shared import the_one
from hearless.recipes.low_rate import cssd, fine_tuned
from hearless.recipes.low_rate.settings import Settings
from hearless.recipes.low_rate.table1 import rate_text
from hearless.study import MEMORY, TRAINED, Row, Study

BACKBONES = ("mn04",)
FASTER = 3.0
RANKS = (4, 16)
WAYS: dict[str, Mapping[str, Any]] = {
    "all weights": {},
    "output layer": {"adapters": "output", "adapter_statistics": False},
    "output layer and statistics": {"adapters": "output"},
    **{
        f"{name}, rank {rank}": {"adapters": name.lower(), "adapter_rank": rank, "adapter_alpha": 2.0 * rank}
        for name in ("LoRA", "DoRA")
        for rank in RANKS
    },
}
"""What of the classifier trains, as words of a stage."""

NOTES = (
    "trained parameters: at most, in any stage; adapters are merged afterwards, so that all rows run at the same cost.",
    "peak memory: the most that a fresh process holds resident (Python and torch included) while it trains three steps "
    "on noise on the CPU; teacher, sound and validation are not in it.",
    "output layer: all else as it was; elsewhere the means and variances of batch norms follow the low-rate sound, and "
    "their scale and shift train with all weights only.",
)


def adapted(recipe: Recipe, way: str) -> Recipe:
    """Return the same training of another share of the weights."""
    if not WAYS[way]:
        return recipe
    (stage,) = recipe.stages
    changed = replace(stage, learning_rate=FASTER * stage.learning_rate, **WAYS[way])
    name = f"{recipe.name}-{way.lower().replace(', rank ', '').replace(' ', '_')}"
    return replace(recipe, stages=(changed,), name=name)


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (1000,), folds: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,), task: str = "",
) -> Study:  # fmt: skip
    """Return the table of one backbone."""
    settings = the_one(each)
    made: list[Row] = []
    pairs: list[tuple[str, str]] = []
    for rate in sorted(rates, reverse=True):
        pairs += [(f"{way}, CSSD, {rate_text(rate)}", f"{way}, labels, {rate_text(rate)}") for way in WAYS]
        for taught, recipe in (("labels", fine_tuned.recipe(settings, rate)), ("CSSD", cssd.recipe(settings, rate))):
            condition = {"rate": rate_text(rate), "taught by": taught, "network": settings.backbone.name}
            names = {way: f"{way}, {taught}, {rate_text(rate)}" for way in WAYS}
            made += [Row(names[way], {**condition, "trains": way}, (adapted(recipe, way),)) for way in WAYS]
            pairs += [(names[way], names["all weights"]) for way in WAYS if WAYS[way]]
            pairs += [(names[f"DoRA, rank {rank}"], names[f"LoRA, rank {rank}"]) for rank in RANKS]
    random = () if settings.backbone.initial else ("The weights at rest are random ones: nothing to keep of them.",)
    return Study(
        name="low_rate/adapters", title="All weights, or small changes of them", task=task, rows=tuple(made),
        seeds=seeds, folds=folds, compare=tuple(pairs), training_time=True, costs=(TRAINED, MEMORY),
        notes=(*NOTES, f"α {settings.alpha:g}, T {settings.temperature:g}.", *random),
    )  # fmt: skip
