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


def recipe(settings: Settings, *, mixed: bool = False) -> Recipe:
    """Return the training; ``mixed`` adds the Mel's squared difference (CNN-mix, ours)."""
    stage = settings.stage(features=settings.mixed if mixed else 0.0)
    return settings.recipe("cnn_mix" if mixed else "cnn_logits", settings.levels_view(enhancer(settings)), stage)
