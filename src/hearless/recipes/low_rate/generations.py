"""Born-again generations 0 … 4: does the third collapse, as paper 000 §5 saw?  Each is taught by the one before.

Fixed α and T (settings), so that generations differ in their teacher alone.  Beside accuracy: how sure each generation
is of held-out clips and, as the teacher of the next, of the clips it was trained on; how far its confidence lies from
its accuracy; and on how many clips two generations agree.
"""

from __future__ import annotations

from collections.abc import Sequence

from hearless.recipe import Recipe
from hearless.recipes._shared import the_one_at_a_rate
from hearless.recipes.low_rate import fine_tuned
from hearless.recipes.low_rate._published import beside, said
from hearless.recipes.low_rate.settings import Settings
from hearless.recipes.low_rate.table1 import rate_text
from hearless.study import Row, Study
from hearless.teachers import Trained

BACKBONES = ("mobilenetv2",)
LAST = 4
SURENESS = ("entropy", "teaching_entropy", "ece_raw", "agreement")
NOTES = (
    "entropy: of the softmax at T 1, 0 is certain: on held-out clips, and (teaching) on the clips of its own training, "
    "which the next generation is told; ece_raw: how far confidence lies from accuracy there, uncalibrated.",
)


def generation_of(settings: Settings, rate_hz: int = 1000, generation: int = 1) -> Recipe:
    """Return generation ``generation``; 0 is fine-tuned, 1 is `basd` under another name."""
    if generation == 0:
        return fine_tuned.recipe(settings, rate_hz)
    name = f"low_rate/generation{generation}-{rate_hz}Hz-alpha{settings.alpha:g}-T{settings.temperature:g}"
    return settings.recipe(name, rate_hz, Trained(generation_of(settings, rate_hz, generation - 1)))


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (1000,), folds: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,), task: str = "",
) -> Study:  # fmt: skip
    """Return the table of one backbone at one rate."""
    settings, rate = the_one_at_a_rate(each, rates)
    condition = {"rate": rate_text(rate), "network": settings.backbone.name}
    extra = beside("paper_000_ablations", settings, experiment="basd_extra_generation")  # the paper's "third"
    made = [
        Row(f"generation {n}", condition, (generation_of(settings, rate, n),), **(extra if n == 3 else {}))
        for n in range(LAST + 1)
    ]
    pairs = [(f"generation {n}", f"generation {before}") for n in range(1, LAST + 1) for before in {0, n - 1}]
    return Study(
        name="low_rate/generations", title="Born again and again", task=task, rows=tuple(made), seeds=seeds,
        folds=folds, compare=tuple(pairs), also=SURENESS,
        notes=(f"α {settings.alpha:g}, T {settings.temperature:g}.", *NOTES, *said(settings)),
    )  # fmt: skip
