"""Fine-tuned: trained on low-rate sound by its labels alone (paper 000 §4.2); also BASD's generation 0."""

from __future__ import annotations

from hearless.recipe import Recipe
from hearless.recipes.low_rate.settings import Settings


def recipe(settings: Settings, rate_hz: int = 1000) -> Recipe:
    """Return the training on low-rate sound."""
    return settings.recipe(f"low_rate/fine_tuned-{rate_hz}Hz", rate_hz)
