"""Table 1 of paper 000: raw, fine-tuned, BASD, CSSD at 1 and 2 kHz, under the 16 kHz generation.

α and T are chosen per fold on that fold's own validation part, among six settings at the lowest rate, and reused at the
others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hearless.recipe import Recipe
from hearless.recipes.low_rate import basd, cssd, fine_tuned, full_band
from hearless.recipes.low_rate._published import beside, said
from hearless.recipes.low_rate.settings import Settings
from hearless.study import Row, Study

GRID: tuple[tuple[float, float], ...] = ((0.1, 2), (0.1, 4), (0.1, 8), (0.5, 2), (0.5, 4), (0.5, 8))
BACKBONES = ("cnn14_16k", "resnet38", "mobilenetv2")
"""The paper's three networks."""

Make = Callable[[Settings, int], Recipe]


def grid_of(make: Make, settings: Settings, rate_hz: int, grid: Sequence[tuple[float, float]]) -> tuple[Recipe, ...]:
    """Return one recipe for each (α, T) of a grid."""
    return tuple(make(replace(settings, alpha=alpha, temperature=t), rate_hz) for alpha, t in grid)


def rows(
    settings: Settings,
    rates: Sequence[int] = (1000, 2000),
    grid: Sequence[tuple[float, float]] = GRID,
    suffix: str = "",
    chosen_at: int | None = None,
) -> tuple[Row, ...]:
    """Return one backbone's rows: the 16 kHz generation, then four methods a rate.

    α and T are chosen at the rate ``chosen_at`` (default: the lowest) and reused at the others.
    """
    upper = full_band.recipe(settings)
    theirs = beside("paper_000_ablations", settings, experiment="initial_generation_16k")
    made = [Row(f"16 kHz{suffix}", _condition(16000, "full band", settings), (upper,), **theirs)]
    for rate in sorted(rates, reverse=True):
        judges = {make: grid_of(make, settings, chosen_at or min(rates), grid) for make in (basd.recipe, cssd.recipe)}
        kinds: list[tuple[str, str, dict[str, Any]]] = [
            ("raw", "raw", {"options": (upper,), "heard_through": settings.view(rate, 0)}),
            ("fine-tuned", "finetuned", {"options": (fine_tuned.recipe(settings, rate),)}),
        ]
        for label, make in (("BASD", basd.recipe), ("CSSD", cssd.recipe)):
            options = {"options": grid_of(make, settings, rate, grid), "chosen_by": judges[make]}
            kinds.append((label, label.lower(), options))
        for label, key, more in kinds:
            made.append(Row(
                f"{label}, {rate_text(rate)}{suffix}", _condition(rate, label, settings),
                **beside("paper_000_table1", settings, sampling_rate_hz=str(rate), method=key), **more,
            ))  # fmt: skip
    return tuple(made)


def rate_text(rate_hz: int) -> str:
    """Return a rate as people say it: ``1 kHz``, ``250 Hz``."""
    return f"{rate_hz / 1000:g} kHz" if rate_hz >= 1000 else f"{rate_hz} Hz"


def hz_of(text: str) -> int:
    """Undo `rate_text`."""
    number, _, unit = text.partition(" ")
    return round(float(number) * (1000 if unit == "kHz" else 1))


def _condition(rate_hz: int, method: str, settings: Settings) -> dict[str, str]:
    return {"rate": rate_text(rate_hz), "method": method, "network": settings.backbone.name}


def study(
    each: Sequence[Settings], *, rates: Sequence[int] = (1000, 2000), folds: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0,), task: str = "",
) -> Study:  # fmt: skip
    """Return the table: a block of rows for each backbone."""
    made: list[Row] = []
    pairs: list[tuple[str, str]] = []
    for settings in each:
        suffix = f", {settings.backbone.name}" if len(each) > 1 else ""
        made += rows(settings, rates, suffix=suffix)
        pairs += [pair for rate in sorted(rates, reverse=True) for pair in pairs_at(rate, suffix)]
    return Study(
        name="low_rate/table1", title="Hearing at low rates: raw, fine-tuned, BASD, CSSD", task=task, rows=tuple(made),
        seeds=seeds, folds=folds, compare=tuple(pairs), notes=said(each[0]),
    )  # fmt: skip


def pairs_at(rate_hz: int, suffix: str = "") -> list[tuple[str, str]]:
    """Return which rows of a rate are tested against which."""
    text = f", {rate_text(rate_hz)}{suffix}"
    return [(f"CSSD{text}", f"fine-tuned{text}"), (f"BASD{text}", f"fine-tuned{text}"), (f"CSSD{text}", f"BASD{text}")]
