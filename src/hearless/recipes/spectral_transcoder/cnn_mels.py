"""CNN-mels: a CNN transcoder trained on the Mel spectrogram alone (paper 003 §3.3, a baseline)."""

from __future__ import annotations

from hearless.recipe import Recipe
from hearless.recipes.spectral_transcoder.cnn_logits import enhancer
from hearless.recipes.spectral_transcoder.settings import Settings


def recipe(settings: Settings) -> Recipe:
    """Return the training on the squared difference of features."""
    stage = settings.stage(logits=0.0, features=1.0)
    return settings.recipe("cnn_mels", settings.levels_view(enhancer(settings)), stage, select="min:mel_mse")
