"""Third-octave levels as features: nothing is computed, one axis is added.

Paper 003's classifiers that read levels without a Mel (and every transcoder) start from these.  The observation is
`ThirdOctave`'s, or a table of a real meter: ``[batch, band, frame]`` in dB.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from hearless.dsp.octave_bands import INTERVALS, bands_of, centres_hz
from hearless.interfaces import Axes, HearlessError

EXAMPLE: dict[str, Any] = {"input_rate_hz": 8}

OBSERVES = "levels"
"""What it takes: levels ``[batch, band, frame]`` instead of samples ``[batch, time]``."""


class BandLevels(nn.Module):
    """Levels ``[batch, 29, frame]`` → features ``[batch, 1, 29, frame]``, both in dB; of octaves 10 in place of 29.

    Args:
        input_rate_hz: levels per second: 8 (fast) or 1 (slow).
        octaves: ``"1/3"`` or ``"1/1"``.

    Raises:
        HearlessError: another rate, or other bands.
    """

    ADDED_LATER: tuple[str, ...] = ("octaves",)

    def __init__(self, *, input_rate_hz: int = 8, octaves: str = "1/3") -> None:
        super().__init__()
        known = [interval.rate_hz for interval in INTERVALS.values()]
        if input_rate_hz not in known:
            raise HearlessError(
                f"BandLevels: input_rate_hz must be levels per second, one of {', '.join(map(str, known))}, "
                f"got {input_rate_hz}; a waveform needs another front end."
            )
        self.input_rate_hz = input_rate_hz
        self.n_bands = len(bands_of(octaves, "BandLevels"))
        self._centres_hz = centres_hz(octaves)

    def forward(self, observation: Tensor) -> Tensor:
        """Return features ``[batch, 1, band, frame]``.

        Raises:
            HearlessError: not floating-point levels ``[batch, band, frame]`` of these bands.
        """
        if observation.ndim != 3 or observation.shape[1] != self.n_bands or not observation.is_floating_point():
            raise HearlessError(
                f"BandLevels: levels must be floating point [batch, {self.n_bands}, frame], got {observation.dtype} "
                f"of shape {tuple(observation.shape)}; give what ThirdOctave returns, or a table's bands from "
                f"{self._centres_hz[0]:.3g} Hz to {self._centres_hz[-1] / 1000:.3g} kHz."
            )
        return observation.unsqueeze(1)

    def axes(self, n_samples: int) -> Axes:
        """Say where the features of ``n_samples`` levels lie."""
        return Axes(self._centres_hz, 1.0 / self.input_rate_hz, n_samples)
