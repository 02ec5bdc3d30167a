"""A low-rate teacher for a higher-rate student: 1 kHz teaches 2 kHz (paper 000 §5, an ablation)."""

from __future__ import annotations

from collections.abc import Sequence

from hearless.interfaces import HearlessError
from hearless.recipe import Recipe
from hearless.recipes.low_rate import basd, cssd, fine_tuned
from hearless.recipes.low_rate._published import beside, said
from hearless.recipes.low_rate.settings import Settings
from hearless.recipes.low_rate.table1 import GRID, grid_of, rate_text
from hearless.study import Row, Study
from hearless.teachers import Trained

BACKBONES = ("mobilenetv2",)


def taught_at(settings: Settings, rate_hz: int, teacher_hz: int) -> Recipe:
    """Return a student at ``rate_hz`` of the fine-tuned generation at ``teacher_hz``."""
    name = f"low_rate/taught_at_{teacher_hz}Hz-{rate_hz}Hz-alpha{settings.alpha:g}-T{settings.temperature:g}"
    return settings.recipe(name, rate_hz, Trained(fine_tuned.recipe(settings, teacher_hz)))


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (1000, 2000), folds: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,), task: str = "",
) -> Study:  # fmt: skip
    """Return the table of one backbone; α and T are chosen by CSSD at the lower rate, as in `table1`."""
    if len(each) != 1 or len(rates) != 2:
        raise HearlessError(f"this study takes one backbone and two rates, got {len(each)} and {list(rates)}.")
    settings, (low, high) = each[0], sorted(rates)
    text = f", {rate_text(high)}"
    judges = grid_of(cssd.recipe, settings, low, GRID)

    def taught(each_settings: Settings, rate_hz: int) -> Recipe:
        return taught_at(each_settings, rate_hz, low)

    condition = {"rate": rate_text(high), "network": settings.backbone.name}
    theirs = {
        method: beside("paper_000_table1", settings, sampling_rate_hz=str(high), method=method)
        for method in ("finetuned", "basd", "cssd")
    }
    made = [Row(f"fine-tuned{text}", condition, (fine_tuned.recipe(settings, high),), **theirs["finetuned"])]
    upwards = beside("paper_000_ablations", settings, experiment="low_to_high")
    kinds = ((f"taught at {rate_text(low)}", taught, upwards), ("BASD", basd.recipe, theirs["basd"]),
             ("CSSD", cssd.recipe, theirs["cssd"]))  # fmt: skip
    for label, make, numbers in kinds:
        options = grid_of(make, settings, high, GRID)
        chosen_by = grid_of(basd.recipe, settings, low, GRID) if label == "BASD" else judges
        made.append(Row(f"{label}{text}", condition, options, chosen_by=chosen_by, **numbers))
    first = made[1].label
    return Study(
        name="low_rate/low_to_high", title="A low-rate teacher for a higher-rate student", task=task, rows=tuple(made),
        seeds=seeds, folds=folds, compare=tuple((first, row.label) for row in made if row.label != first),
        notes=said(settings),
    )  # fmt: skip
