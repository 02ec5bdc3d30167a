"""CSSD, cross-sampling-rate self-distillation (paper 000 §3.1, strategy 2): the teacher hears the clip at 16 kHz."""

from __future__ import annotations

from hearless.recipe import Recipe
from hearless.recipes.low_rate import full_band
from hearless.recipes.low_rate.settings import Settings
from hearless.teachers import CrossFitted, Trained


def recipe(settings: Settings, rate_hz: int = 1000, *, n_parts: int = 0) -> Recipe:
    """Return the low-rate student of the 16 kHz generation.

    ``n_parts`` ≥ 2 trains that many teachers, each without one part of the training recordings, so that none explains a
    clip it has trained on (ours, not the paper's).
    """
    name = f"low_rate/cssd-{rate_hz}Hz-alpha{settings.alpha:g}-T{settings.temperature:g}"
    upper = full_band.recipe(settings)
    if n_parts:
        return settings.recipe(f"{name}-crossfit{n_parts}", rate_hz, CrossFitted(upper, n_parts))
    return settings.recipe(name, rate_hz, Trained(upper))
