"""DKD (Zhao et al., CVPR 2022) from the 16 kHz generation; ours, not paper 000's: CSSD with another objective.

What the teacher says of the true class and how it ranks the others are weighed apart
(`hearless.objectives.decoupled_distillation`); α, β and T are that paper's, untuned, so the settings' do not count.
"""

from __future__ import annotations

from hearless.objectives.decoupled_distillation import DecoupledDistillation
from hearless.recipe import Recipe
from hearless.recipes.low_rate import cssd
from hearless.recipes.low_rate.settings import Settings, with_objective
from hearless.spec import spec


def recipe(settings: Settings, rate_hz: int = 1000) -> Recipe:
    """Return the low-rate student of the 16 kHz generation; a row of `distillation`.

    Raises:
        HearlessError: data of several classes a clip.
    """
    settings.refuse_multi_label("dkd")
    return with_objective(cssd.recipe(settings, rate_hz), spec(DecoupledDistillation), f"low_rate/dkd-{rate_hz}Hz")
