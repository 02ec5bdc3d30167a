"""Full band: the microphone keeps everything up to half its rate.

The raw condition of paper 000 (16 kHz), and the teacher's ear of every system.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from hearless.dsp.resample import resample
from hearless.interfaces import HearlessError

EXAMPLE: dict[str, Any] = {"rate_hz": 8000}


class FullBand(nn.Module):
    """Samples at ``rate_hz``, whatever the waveform's rate.

    A waveform of a lower rate is resampled up; what lies above its own Nyquist frequency stays silent.

    Args:
        rate_hz: rate of the observation in Hz, also the rate of the waveform it would hear.
    """

    def __init__(self, *, rate_hz: int = 16000) -> None:
        super().__init__()
        if rate_hz < 1:
            raise HearlessError(f"FullBand: rate_hz must be at least 1, got {rate_hz}.")
        self.rate_hz = rate_hz
        self.source_rate_hz = rate_hz
        self.minimum_rate_hz = 1

    def forward(self, waveform: Tensor, rate_hz: int, devices: Sequence[str | None] = ()) -> Tensor:
        """Resample ``[batch, time]`` at ``rate_hz`` to the capture's rate; ``devices`` make no difference."""
        return resample(waveform, rate_hz, self.rate_hz)
