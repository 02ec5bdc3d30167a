"""Light: our depthwise-separable transcoder, trained as CNN-logits is."""

from __future__ import annotations

from hearless.enhancers.light_transcoder import LightTranscoder
from hearless.recipe import Recipe
from hearless.recipes.spectral_transcoder.settings import Settings
from hearless.spec import spec


def recipe(settings: Settings) -> Recipe:
    """Return the training on the frozen classifier's scores."""
    transcoder = spec(LightTranscoder, channels=settings.light_channels, blocks=settings.light_blocks)
    return settings.recipe("light", settings.levels_view(transcoder), settings.stage())
