"""From third-octave levels to a classifier's Mel power as one matrix (paper 003 §3.2, PINV).

Level → power in the band → power spectrum (the band matrix's pseudo-inverse, negative entries clipped to 0) → what
the Mel front end's own, shorter window would have measured → Mel power.  All of it acts on frequency alone and is
linear, so it folds to one matrix ``[Mel band, level band]``; the interpolation over time commutes with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from hearless.dsp.filterbanks import kaldi_weights, slaney_weights, triangles
from hearless.dsp.octave_bands import INTERVALS, OFFSET_DB, RATE_HZ, band_weights
from hearless.dsp.scales import htk_to_hz, hz_to_htk
from hearless.interfaces import HearlessError


@dataclass(frozen=True)
class Target:
    """The Mel features of a classifier.

    Attributes:
        n_bands: Mel bands.
        frames_per_s: frames for each second of levels.
        last_frame: frames beyond those (1 where the last frame is centred on the end).
        weights: Mel weights ``[bin, band]`` for bins in Hz.
        gain: from a ``frame``-point, rectangular power spectrum to the front end's own.
        response: power response in Hz of what the front end does to the samples first.
        log: Mel power to features.
        centre, spread: about the mean and the deviation of the features of everyday sound.
    """

    n_bands: int
    frames_per_s: int
    last_frame: int
    weights: Callable[[tuple[float, ...]], Tensor]
    gain: Callable[[int], float]
    response: Callable[[Tensor], Tensor]
    log: Callable[[Tensor], Tensor]
    centre: float
    spread: float

    def n_frames(self, n_levels: int, levels_per_s: int) -> int:
        """Return the Mel frames of so many levels, at least one."""
        return max(1, round(n_levels / levels_per_s * self.frames_per_s) + self.last_frame)


def window_gain(window: int) -> Callable[[int], float]:
    """Return the published window compensation: a tone's peak bin under a Hann of ``window`` samples and under none."""
    return lambda frame: (0.5 * (1 + window / 2) / (1 + frame / 2)) ** 2


def htk_weights(bin_hz: tuple[float, ...]) -> Tensor:
    """Return torchaudio's 64 HTK triangles, linear in Hz, peak 1, 125 to 7,500 Hz."""
    edges = htk_to_hz(torch.linspace(hz_to_htk(125.0), hz_to_htk(7500.0), 66, dtype=torch.float64))
    return triangles(torch.tensor(bin_hz, dtype=torch.float64), edges)


def _flat(hz: Tensor) -> Tensor:
    return torch.ones_like(hz)


def _pre_emphasis(hz: Tensor) -> Tensor:
    """Return the power response of ``x[i + 1] - 0.97 x[i]`` at 32 kHz."""
    return 1.0 + 0.97**2 - 2.0 * 0.97 * torch.cos(2.0 * math.pi * hz / RATE_HZ)


TARGETS = {
    "pann": Target(
        64, 100, 1, lambda hz: slaney_weights(hz, 64, 50.0, 14000.0), window_gain(1024), _flat,
        lambda mel: 10.0 * mel.clamp(min=1e-10).log10(), -30.0, 20.0,
    ),
    "yamnet": Target(
        64, 96, 0, htk_weights, window_gain(512), _flat, lambda mel: (mel + 0.001).log(), -1.5, 2.3,
    ),
    "mn04": Target(
        128, 100, 0, lambda hz: kaldi_weights(hz, 128, 0.0, 15000.0), window_gain(800), _pre_emphasis,
        lambda mel: ((mel + 1e-5).log() + 4.5) / 5.0, -0.35, 0.9,
    ),
}  # fmt: skip
"""PANNs' ``LogMel`` at 32 kHz, ``YAMNetMel`` and mn04's ``PreEmphasisMel``."""


def require_target(name: str, owner: str) -> Target:
    """Return a target by name; ``owner`` names who asks, for the error."""
    if name not in TARGETS:
        raise HearlessError(f"{owner}: target must be one of {', '.join(TARGETS)}, got {name!r}.")
    return TARGETS[name]


@lru_cache(maxsize=8)
def spectrum_of_bands(bands: str, interval: str, octaves: str = "1/3") -> Tensor:
    """Return the clipped pseudo-inverse of the band matrix: float64 ``[bin, band]``, band power → power spectrum."""
    matrix = band_weights(bands, INTERVALS[interval].frame, octaves)
    inverse: Tensor = torch.linalg.pinv(matrix.T, rtol=1e-15)
    return inverse.clamp(min=0.0)


@lru_cache(maxsize=32)
def folded(target: str, interval: str, bands: str, octaves: str = "1/3") -> Tensor:
    """Return float64 ``[Mel band, level band]``: ``10 ** (level / 10)`` → Mel power.  Shared: do not write into it."""
    wanted, frame = TARGETS[target], INTERVALS[interval].frame
    hz = torch.arange(frame // 2 + 1, dtype=torch.float64) * (RATE_HZ / frame)
    measured = 10.0 ** (-OFFSET_DB / 10.0) * frame**2 / 2.0 * wanted.gain(frame)
    spectrum = spectrum_of_bands(bands, interval, octaves) * wanted.response(hz)[:, None]
    matrix: Tensor = wanted.weights(tuple(hz.tolist())).T @ spectrum * measured
    return matrix


def by_second(transcode: Callable[[Tensor], Tensor], levels: Tensor, levels_per_s: int, last_frame: int) -> Tensor:
    """Return what transcoding levels ``[batch, 1, band, frame]`` second by second gives, as paper 003's code does.

    The seconds are put behind one another; of all but the last their ``last_frame`` frames are dropped.
    """
    made = [transcode(second) for second in torch.split(levels, levels_per_s, dim=3)]
    return torch.cat([*(one[..., : one.shape[3] - last_frame] for one in made[:-1]), made[-1]], dim=3)
