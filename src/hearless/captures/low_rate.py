"""Low rate: the sensor samples at 250 Hz to a few kHz, so that speech is never in it.

Paper 000 §4.3 (1 and 2 kHz).  The paper goes on to up-sample; here the sensor keeps what it has, and the way
back to a Mel axis is the frontend's (``path="upsample"`` or ``"native"``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from hearless.dsp.resample import resample
from hearless.interfaces import HearlessError

EXAMPLE: dict[str, Any] = {"rate_hz": 1000, "source_rate_hz": 8000}

LOWEST_RATE_HZ = 250


class LowRate(nn.Module):
    """Anti-aliases, decimates and returns samples at ``rate_hz``; never up-samples.

    Args:
        rate_hz: rate of the sensor in Hz, at least 250.
        source_rate_hz: rate of the waveform it would hear, not below ``rate_hz``.

    Raises:
        HearlessError: a rate below 250 Hz, or a source slower than the sensor.
    """

    def __init__(self, *, rate_hz: int = 1000, source_rate_hz: int = 16000) -> None:
        super().__init__()
        if rate_hz < LOWEST_RATE_HZ:
            raise HearlessError(f"LowRate: rate_hz must be at least {LOWEST_RATE_HZ}, got {rate_hz}.")
        if source_rate_hz < rate_hz:
            raise HearlessError(
                f"LowRate: source_rate_hz must not be below rate_hz, got {source_rate_hz} below {rate_hz}."
            )
        self.rate_hz = rate_hz
        self.source_rate_hz = source_rate_hz
        self.minimum_rate_hz = rate_hz

    def forward(self, waveform: Tensor, rate_hz: int, devices: Sequence[str | None] = ()) -> Tensor:
        """Decimate ``[batch, time]`` at ``rate_hz``; at the sensor's own rate it passes unchanged.

        Raises:
            HearlessError: the waveform's rate is below the sensor's.
        """
        if rate_hz < self.rate_hz:
            raise HearlessError(
                f"LowRate: a waveform at {rate_hz} Hz cannot be captured by a sensor of rate_hz={self.rate_hz}, "
                f"which never up-samples; use recordings of at least {self.rate_hz} Hz or a lower rate_hz."
            )
        return resample(waveform, rate_hz, self.rate_hz)
