"""An attacker that reads third-octave levels, whose privacy paper 003 claims (ours; no paper's experiment).

Straight: a classifier trained behind the pseudo-inverse, which turns levels into Mel features and learns nothing.
Extended: behind a transcoder that is first taught the Mel features of the sound itself.
"""

from __future__ import annotations

from dataclasses import replace

from hearless.captures.third_octave import ThirdOctave
from hearless.dsp.octave_bands import interval_of
from hearless.enhancers.light_transcoder import LightTranscoder
from hearless.enhancers.pinv_transcoder import PINVTranscoder
from hearless.frontends.band_levels import BandLevels
from hearless.interfaces import HearlessError
from hearless.recipe import Recipe
from hearless.recipes._shared import TEACHER_RATE_HZ
from hearless.recipes.low_rate import full_band
from hearless.recipes.low_rate.bandwidth_extended import guessing
from hearless.recipes.low_rate.settings import Settings
from hearless.spec import spec

TARGET = "mn04"


def recipe(
    settings: Settings, interval: str = "fast", *, extended: bool = True, top_rate_hz: int = TEACHER_RATE_HZ
) -> Recipe:
    """Return the training on levels; ``top_rate_hz`` is what the full sound holds.

    Raises:
        HearlessError: a network that does not hear mn04's Mel features.
    """
    if settings.backbone.frontend.name != "PreEmphasisMel":
        raise HearlessError(
            f"backbone must hear mn04's Mel features, got {settings.backbone.name!r}; take mn02 or mn04."
        )
    made = settings.recipe(f"low_rate/levels-{interval}-{'extended' if extended else 'straight'}", TEACHER_RATE_HZ)
    capture = spec(ThirdOctave, interval=interval)
    frontend = spec(BandLevels, input_rate_hz=interval_of(interval, "from_levels").rate_hz)
    pinv = spec(PINVTranscoder, target=TARGET, interval=interval)
    straight = replace(made, student=replace(made.student.hearing(capture, frontend), enhancer=pinv))
    if not extended:
        return straight
    light = spec(LightTranscoder, target=TARGET, interval=interval, channels=16, blocks=4)
    return guessing(settings, straight, light, full_band.recipe(replace(settings, bands=0), top_rate_hz))
