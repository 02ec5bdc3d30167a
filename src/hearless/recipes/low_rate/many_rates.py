"""One student for many rates: the rate is drawn for each clip, the teacher hears 16 kHz (ours; paper 001 asks).

It hears the whole Mel axis at 16 kHz, band-limited to the drawn rate, and is heard through a real low-rate capture when
it is tested.
"""

from __future__ import annotations

from dataclasses import replace

from hearless.augmentations.band_limit import BandLimit
from hearless.recipe import Recipe
from hearless.recipes._shared import TEACHER_RATE_HZ
from hearless.recipes.low_rate import full_band
from hearless.recipes.low_rate.settings import Settings
from hearless.spec import spec
from hearless.teachers import Trained

RATES_HZ = (250, 500, 1000, 2000, 4000, 8000, 16000)


def recipe(settings: Settings, *, taught: bool = True) -> Recipe:
    """Return the training over all rates; ``taught=False`` learns from labels alone."""
    teacher = Trained(full_band.recipe(settings)) if taught else None
    long = replace(settings, full_band_epochs=settings.epochs)  # it has more to learn than the 16 kHz generation
    made = long.recipe(f"low_rate/many_rates{'' if taught else '-untaught'}", TEACHER_RATE_HZ, teacher)
    drawn = spec(BandLimit, rates_hz=",".join(map(str, RATES_HZ)))
    return replace(made, augmentations=(*made.augmentations, drawn), teacher=teacher)
