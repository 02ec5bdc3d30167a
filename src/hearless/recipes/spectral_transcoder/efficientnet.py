"""EfficientNet students on PINV Mel, taught by the classifier that hears the sound (paper 003 §4.2).

Weights are random: the published ones start from ImageNet but for the stem.  The released code also resizes the Mel to
101 × 64 (nearest) and clamps scores to 0..1 instead of a sigmoid; here Mel and scores stay as they are.
"""

from __future__ import annotations

from dataclasses import replace

from hearless.classifiers.efficientnet import EfficientNet
from hearless.recipe import Recipe
from hearless.recipes.spectral_transcoder.settings import Settings
from hearless.spec import spec


def recipe(settings: Settings, variant: str = "b0") -> Recipe:
    """Return the training of EfficientNet-``variant``, at a hundredth of the transcoder's learning rate."""
    student = replace(settings.levels_view(), classifier=spec(EfficientNet, variant=variant))
    made = settings.recipe(f"efficientnet_{variant}", student, settings.stage(trains="classifier", share=0.01))
    return replace(made, initial=None)
