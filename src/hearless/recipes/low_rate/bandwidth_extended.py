"""An attacker that first guesses the bands a low-rate sensor did not keep (ours; no paper's experiment).

A bandwidth extension is trained on the Mel features of the full sound (mean squared error), then it and a classifier
behind it that already knows full-band sound are trained by their labels.
"""

from __future__ import annotations

from dataclasses import replace

from hearless.enhancers.bandwidth_extension import BandwidthExtension
from hearless.interfaces import HearlessError
from hearless.objectives.transcoding import Transcoding
from hearless.recipe import Recipe, Stage
from hearless.recipes._shared import TEACHER_RATE_HZ
from hearless.recipes.low_rate import full_band
from hearless.recipes.low_rate.settings import Settings
from hearless.spec import Spec, spec
from hearless.teachers import Trained

SHARE = 3
"""The guess alone is trained for so large a part (1/3) of the epochs that follow."""


def recipe(settings: Settings, rate_hz: int = 1000, *, top_rate_hz: int = TEACHER_RATE_HZ) -> Recipe:
    """Return the training at a rate; ``top_rate_hz`` is what the full sound holds.

    Raises:
        HearlessError: a rate that is not below it.
    """
    if rate_hz >= top_rate_hz:
        raise HearlessError(f"rate must be below that of the full sound, {top_rate_hz} Hz, got {rate_hz}.")
    heard, full = (settings.view(rate).frontend.build().n_bands for rate in (rate_hz, top_rate_hz))
    extension = spec(BandwidthExtension, heard_bands=heard, n_bands=full)
    made = settings.recipe(f"low_rate/bandwidth_extended-{rate_hz}Hz", rate_hz)
    return guessing(settings, made, extension, full_band.recipe(settings, top_rate_hz))


def guessing(settings: Settings, made: Recipe, enhancer: Spec, full: Recipe) -> Recipe:
    """Return a training with an enhancer that is first taught the features of the full sound by what hears them."""
    first = Stage(
        (spec(Transcoding, logits=0.0, features=1.0),), max(1, settings.epochs // SHARE), settings.learning_rate,
        settings.schedule, trains=("enhancer",),
    )  # fmt: skip
    return replace(
        made, student=replace(made.student, enhancer=enhancer), stages=(first, *made.stages), teacher=Trained(full),
        initial=Trained(full),
    )  # fmt: skip
