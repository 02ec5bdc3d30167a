"""Hz and Mel, on the three scales in use.

* Slaney (Auditory Toolbox; librosa's default): linear below 1 kHz, 27 logarithmic steps per factor 6.4 above.
* HTK: ``2595 log10(1 + f / 700)``.
* Kaldi: ``1127 ln(1 + f / 700)``, HTK's scale in other rounding (2595 / ln 10 = 1126.99).

Every function takes a float or a tensor of any shape and returns the same kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

Values = TypeVar("Values", float, Tensor)

SLANEY_HZ_PER_MEL = 200.0 / 3.0
SLANEY_BREAK_HZ = 1000.0
SLANEY_BREAK_MEL = SLANEY_BREAK_HZ / SLANEY_HZ_PER_MEL
SLANEY_LOG_STEP = math.log(6.4) / 27.0


def hz_to_slaney(hz: Values) -> Values:
    """Turn Hz into Slaney Mel."""
    return _apply(_hz_to_slaney, hz)


def slaney_to_hz(mel: Values) -> Values:
    """Turn Slaney Mel into Hz."""
    return _apply(_slaney_to_hz, mel)


def hz_to_htk(hz: Values) -> Values:
    """Turn Hz into HTK Mel."""
    return _apply(lambda f: 2595.0 * torch.log10(1.0 + f / 700.0), hz)


def htk_to_hz(mel: Values) -> Values:
    """Turn HTK Mel into Hz."""
    return _apply(lambda m: 700.0 * (10.0 ** (m / 2595.0) - 1.0), mel)


def hz_to_kaldi(hz: Values) -> Values:
    """Turn Hz into Kaldi Mel."""
    return _apply(lambda f: 1127.0 * torch.log1p(f / 700.0), hz)


def kaldi_to_hz(mel: Values) -> Values:
    """Turn Kaldi Mel into Hz."""
    return _apply(lambda m: 700.0 * torch.expm1(m / 1127.0), mel)


def _hz_to_slaney(hz: Tensor) -> Tensor:
    above = SLANEY_BREAK_MEL + torch.log(hz.clamp(min=SLANEY_BREAK_HZ) / SLANEY_BREAK_HZ) / SLANEY_LOG_STEP
    return torch.where(hz < SLANEY_BREAK_HZ, hz / SLANEY_HZ_PER_MEL, above)


def _slaney_to_hz(mel: Tensor) -> Tensor:
    steps = (mel - SLANEY_BREAK_MEL).clamp(min=0.0)
    above = SLANEY_BREAK_HZ * torch.exp(SLANEY_LOG_STEP * steps)
    return torch.where(mel < SLANEY_BREAK_MEL, mel * SLANEY_HZ_PER_MEL, above)


def _apply(function: Callable[[Tensor], Tensor], values: Values) -> Values:
    if isinstance(values, Tensor):
        return function(values)
    return float(function(torch.tensor(values, dtype=torch.float64)))
