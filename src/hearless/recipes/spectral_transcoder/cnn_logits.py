"""CNN-logits: a CNN transcoder trained on what the frozen classifier says (paper 003 §3.3, its method)."""

from __future__ import annotations

from hearless.enhancers.cnn_transcoder import CNNTranscoder
from hearless.recipe import Recipe
from hearless.recipes.spectral_transcoder.settings import Settings
from hearless.spec import Spec, spec


def enhancer(settings: Settings) -> Spec:
    """Return the CNN transcoder of these settings."""
    return spec(
        CNNTranscoder, channels=settings.channels, layers=settings.layers, kernel_frames=settings.kernel_frames,
        kernel_bands=settings.kernel_bands, dilation=settings.dilation,
    )  # fmt: skip


def recipe(settings: Settings, *, features: float = 0.0) -> Recipe:
    """Return the training; ``features`` above 0 adds the Mel's squared difference (ours)."""
    name = "cnn_logits" if not features else f"cnn_mix{features:g}"
    return settings.recipe(name, settings.levels_view(enhancer(settings)), settings.stage(features=features))
