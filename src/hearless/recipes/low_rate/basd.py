"""BASD, born-again self-distillation (paper 000 §3.1, strategy 1): teacher and student hear the same low rate."""

from __future__ import annotations

from hearless.recipe import Recipe
from hearless.recipes.low_rate import fine_tuned
from hearless.recipes.low_rate.settings import Settings
from hearless.teachers import Trained


def recipe(settings: Settings, rate_hz: int = 1000) -> Recipe:
    """Return generation 1, taught by the fine-tuned generation 0."""
    name = f"low_rate/basd-{rate_hz}Hz-alpha{settings.alpha:g}-T{settings.temperature:g}"
    return settings.recipe(name, rate_hz, Trained(fine_tuned.recipe(settings, rate_hz)))
