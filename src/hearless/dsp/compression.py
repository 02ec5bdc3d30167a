"""Dynamic-range compression, as recording devices do it: loud passages are turned down.

A feed-forward compressor (Giannoulis, Massberg, Reiss, JAES 2012) with a root-mean-square detector of one time
constant and a hard knee, computed on blocks of 1 ms and all at once instead of sample by sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from hearless.interfaces import HearlessError

BLOCK_S = 1e-3
FORGOTTEN = 5.0
"""Time constants after which the detector has forgotten."""

FLOOR = 1e-12


@dataclass(frozen=True)
class Compression:
    """Settings of a compressor.

    Attributes:
        threshold_db: level in dB below a full-scale square wave (mean square 1) from which on it works.
        ratio: dB that come in for 1 dB that goes out, above the threshold.
        release_ms: time constant of its level detector.
    """

    threshold_db: float
    ratio: float
    release_ms: float

    def __post_init__(self) -> None:
        if not (self.ratio >= 1.0 and self.release_ms > 0.0 and math.isfinite(self.threshold_db)):
            raise HearlessError(f"a compression must have a ratio of at least 1 and a release above 0 ms, got {self}.")


def compressed(waveform: Tensor, rate_hz: int, settings: Compression) -> Tensor:
    """Compress floating-point ``[batch, time]`` at ``rate_hz``; the detector starts in silence."""
    block = max(1, round(BLOCK_S * rate_hz))
    level_db = detected_db(waveform, block, settings.release_ms * 1e-3 * rate_hz / block)
    gain_db = (settings.threshold_db - level_db).clamp(max=0.0) * (1.0 - 1.0 / settings.ratio)
    curve = F.interpolate(gain_db[:, None], scale_factor=block, mode="linear")[:, 0, : waveform.shape[-1]]
    return waveform * 10.0 ** (curve / 20.0)


def detected_db(waveform: Tensor, block: int, release: float) -> Tensor:
    """Return the detector's level ``[batch, block]`` in dB, ``release`` being its time constant in blocks."""
    padded = F.pad(waveform, (0, -waveform.shape[-1] % block))
    power = padded.square().reshape(len(padded), -1, block).mean(-1)
    n = min(power.shape[-1], math.ceil(FORGOTTEN * release) + 1)
    age = torch.arange(n - 1, -1, -1, dtype=waveform.dtype, device=waveform.device)
    weight = (1.0 - math.exp(-1.0 / release)) * torch.exp(-age / release)
    smooth = F.conv1d(F.pad(power, (n - 1, 0))[:, None], weight[None, None])[:, 0]
    return 10.0 * torch.log10(smooth + FLOOR)
