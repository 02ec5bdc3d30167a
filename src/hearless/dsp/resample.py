"""Change the sampling rate: a band-limited windowed-sinc resampler, batched and differentiable.

Smith, "Digital Audio Resampling Home Page" (windowed-sinc interpolation), with a Kaiser window.  Paper 000 does
not name its resampler; since its "raw" scores depend on what lies above the low rate's Nyquist, this one is
steep and its bounds are stated:

* pass band: within `RIPPLE_DB` up to `PASS_BAND` of the lower Nyquist frequency;
* stop band: at most `STOP_DB` from the lower Nyquist frequency on.

Each output sample is the sum of input samples, weighted by ``h(t) = sinc(t) kaiser(t)`` at their distance.  The
distances repeat every ``old`` input = ``new`` output samples (the rates over their greatest common divisor), so
a run of output samples is one dense matrix times a window of the input, and the window slides by ``old``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from hearless.interfaces import HearlessError

PASS_BAND = 0.90
RIPPLE_DB = 0.01
STOP_DB = -100.0

_KAISER_DB = 104.0
_KAISER_BETA = 0.1102 * (_KAISER_DB - 8.7)
_CUTOFF = (1.0 + PASS_BAND) / 2.0
# Kaiser's formula for the length, as half-width in samples of the lower rate.
_HALF_WIDTH = (_KAISER_DB - 7.95) / (2.285 * math.pi * (1.0 - PASS_BAND)) / 2.0


def resample(waveform: Tensor, from_hz: int, to_hz: int) -> Tensor:
    """Resample the last axis; outside the waveform there is silence.

    Args:
        waveform: floating point ``[..., time]`` at ``from_hz``.
        from_hz: its rate in Hz.
        to_hz: the wanted rate in Hz.

    Returns:
        ``[..., ceil(time * to_hz / from_hz)]``; the waveform itself when the rates are equal.  Sample ``i`` lies
        at ``i / to_hz`` seconds: no delay.

    Raises:
        HearlessError: a rate below 1 Hz, integer samples, or no samples.
    """
    _check(waveform, from_hz, to_hz)
    if from_hz == to_hz:
        return waveform
    plan = resampling_plan(from_hz, to_hz)
    return run_plan(waveform, plan, _matrices(from_hz, to_hz, waveform.dtype, waveform.device))


def resampled_length(n_samples: int, from_hz: int, to_hz: int) -> int:
    """Return ``ceil(n_samples * to_hz / from_hz)``, the length of the resampled waveform."""
    return -(-n_samples * to_hz // from_hz)


@dataclass(frozen=True)
class ResamplingPlan:
    """Output in blocks of ``new`` samples from ``old`` input samples, each block in runs.

    Run ``i`` is the input from ``starts[i]`` on (counted from ``before`` samples ahead) times ``matrices[i]``.
    """

    old: int
    new: int
    before: int
    starts: tuple[int, ...]
    matrices: tuple[Tensor, ...]


@lru_cache(maxsize=32)
def resampling_plan(from_hz: int, to_hz: int) -> ResamplingPlan:
    """Lay out blocks and runs (matrices in float64): wide enough for a fast product, with few zeros to multiply."""
    common = math.gcd(from_hz, to_hz)
    old, new = from_hz // common, to_hz // common
    scale = min(1.0, to_hz / from_hz)
    reach = _HALF_WIDTH / scale
    stride = max(1, round(0.75 * reach))
    times = max(1, stride // old)
    old, new = old * times, new * times
    run = -(-new // math.ceil(old / stride))
    before = math.ceil(reach)
    starts, matrices = [], []
    for first in range(0, new, run):
        target = torch.arange(first, min(first + run, new), dtype=torch.float64) * old / new
        start, end = math.ceil(float(target[0]) - reach), math.floor(float(target[-1]) + reach)
        source = torch.arange(start, end + 1, dtype=torch.float64)
        matrices.append(kernel((source[:, None] - target) * scale) * scale)
        starts.append(start + before)
    return ResamplingPlan(old, new, before, tuple(starts), tuple(matrices))


@lru_cache(maxsize=32)
def _matrices(from_hz: int, to_hz: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
    return tuple(matrix.to(device, dtype) for matrix in resampling_plan(from_hz, to_hz).matrices)


def run_plan(waveform: Tensor, plan: ResamplingPlan, matrices: Sequence[Tensor]) -> Tensor:
    """Resample ``[..., time]`` by a plan, with its matrices in the waveform's dtype and on its device."""
    flat = waveform.reshape(-1, waveform.shape[-1])
    n_out = resampled_length(flat.shape[1], plan.old, plan.new)
    n_blocks = -(-n_out // plan.new)
    after = max(0, n_blocks * plan.old + plan.before - flat.shape[1])
    padded = torch.nn.functional.pad(flat, (plan.before, after))
    runs = [
        padded[:, start:].unfold(-1, matrix.shape[0], plan.old)[:, :n_blocks] @ matrix
        for start, matrix in zip(plan.starts, matrices, strict=True)
    ]
    return torch.cat(runs, dim=-1).flatten(1)[:, :n_out].reshape(*waveform.shape[:-1], n_out)


def kernel(offset: Tensor) -> Tensor:
    """Return the low-pass kernel at offsets in samples of the lower rate (float64)."""
    inside = (1.0 - (offset / _HALF_WIDTH).square()).clamp(min=0.0)
    window = torch.special.i0(_KAISER_BETA * inside.sqrt()) / torch.special.i0(offset.new_tensor(_KAISER_BETA))
    return torch.where(offset.abs() <= _HALF_WIDTH, _CUTOFF * torch.sinc(_CUTOFF * offset) * window, 0.0)


def _check(waveform: Tensor, from_hz: int, to_hz: int) -> None:
    for name, rate_hz in (("from_hz", from_hz), ("to_hz", to_hz)):
        if rate_hz < 1 or rate_hz != int(rate_hz):
            raise HearlessError(f"{name} must be a whole number of Hz, at least 1, got {rate_hz}.")
    if not waveform.is_floating_point():
        raise HearlessError(f"waveform must be floating point, got {waveform.dtype}; scale integers to -1…1 first.")
    if waveform.ndim == 0 or waveform.shape[-1] == 0:
        raise HearlessError(f"waveform must hold at least one sample [..., time], got shape {tuple(waveform.shape)}.")
