"""The 16 kHz generation: the upper row, CSSD's teacher, and the model that "raw" hears low-rate sound with."""

from __future__ import annotations

from hearless.recipe import Recipe
from hearless.recipes._shared import TEACHER_RATE_HZ
from hearless.recipes.low_rate.settings import Settings


def recipe(settings: Settings, rate_hz: int = TEACHER_RATE_HZ) -> Recipe:
    """Return the training on 16 kHz sound."""
    return settings.recipe("low_rate/full_band", rate_hz)
