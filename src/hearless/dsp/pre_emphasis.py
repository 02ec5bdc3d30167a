"""Pre-emphasis with the same response in Hz at every rate.

``y[i] = x[i + 1] - c x[i]`` at the reference rate is ``y(t) = x(t + h) - c x(t - h)``, ``h`` being half a reference
sample and ``y[i]`` lying at ``t = i + 1/2``.  At other rates an FIR filter does the same.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hearless.dsp.spectra import Analysis, reflect

_FIR_TAPS = 32
_FIR_BLOCK = 32


def pre_emphasis_taps(analysis: Analysis, rate_hz: int) -> Tensor:
    """Return an even number of taps that pre-emphasise at ``rate_hz`` as the reference does at its own.

    They lie at half-integer distances around ``t = i + 1/2``.  At the reference rate they are ``(-c, 1)``; elsewhere
    the least-squares fit to ``exp(j w h) - c exp(-j w h)`` up to 98 % of Nyquist, relative error evenly weighed.

    Returns:
        float64 ``[tap]``.
    """
    if rate_hz == analysis.rate_hz:
        return torch.tensor([-analysis.pre_emphasis, 1.0], dtype=torch.float64)
    places = torch.arange(_FIR_TAPS, dtype=torch.float64) - (_FIR_TAPS - 1) / 2.0
    omega = torch.linspace(0.0, 0.98 * math.pi, 2048, dtype=torch.float64)[:, None]
    half = omega * analysis.half_delay_s * rate_hz
    unit = torch.ones_like(half)
    wanted = torch.polar(unit, half) - analysis.pre_emphasis * torch.polar(unit, -half)
    basis = torch.polar(1.0 / wanted.abs(), omega * places)
    wanted = wanted / wanted.abs()
    fit = torch.linalg.lstsq(torch.cat([basis.real, basis.imag]), torch.cat([wanted.real, wanted.imag]))
    taps: Tensor = fit.solution[:, 0]
    return taps


def pre_emphasise(waveform: Tensor, taps: Tensor) -> Tensor:
    """Filter ``[batch, time]`` with `pre_emphasis_taps`; returns ``[batch, time - 1]``, the edges reflected."""
    if len(taps) == 2:
        return waveform[:, 1:] * taps[1] + waveform[:, :-1] * taps[0]
    reach = len(taps) // 2 - 1
    n_out = waveform.shape[-1] - 1
    n_blocks = -(-n_out // _FIR_BLOCK)
    padded = reflect(waveform, reach, reach, n_blocks * _FIR_BLOCK + len(taps) - 1)
    shifted = torch.nn.functional.pad(taps, (_FIR_BLOCK - 1, _FIR_BLOCK - 1)).unfold(0, _FIR_BLOCK, 1).flip(1)
    blocks = padded.unfold(-1, len(taps) + _FIR_BLOCK - 1, _FIR_BLOCK)[:, :n_blocks]
    return (blocks @ shifted).flatten(1)[:, :n_out]
