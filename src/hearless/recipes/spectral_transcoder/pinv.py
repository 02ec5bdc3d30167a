"""PINV: the pseudo-inverse alone, nothing trained (paper 003 §3.2); the classifier behind it stays frozen."""

from __future__ import annotations

from hearless.recipe import Recipe
from hearless.recipes.spectral_transcoder.settings import Settings


def recipe(settings: Settings) -> Recipe:
    """Return the frozen classifier hearing levels through the pseudo-inverse."""
    return settings.recipe("pinv", settings.levels_view())
