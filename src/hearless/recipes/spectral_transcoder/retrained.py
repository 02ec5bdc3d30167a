"""The classifier itself retrained behind the pseudo-inverse: the paper's PANN-1/3oct and YAMNet-1/3oct (§4.2)."""

from __future__ import annotations

from hearless.recipe import Recipe
from hearless.recipes.spectral_transcoder.settings import Settings


def recipe(settings: Settings) -> Recipe:
    """Return the training of all of the classifier's weights on its own scores, at a tenth of the learning rate."""
    return settings.recipe("retrained", settings.levels_view(), settings.stage(trains="classifier", share=0.1))
