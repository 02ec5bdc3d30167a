"""Mel weight matrices ``[bin, band]`` on any grid of bins.

A filter bank is a function of frequency; a spectrum's bins are where it is sampled.  So each function takes the
bins' frequencies in Hz: the same Mel axis can be laid over a 32 kHz spectrum and over the 16 bins that a 1 kHz
sensor has.  Everything is computed once, in float64.

* `slaney_weights`: librosa's default (PANNs): triangles linear in Hz, edges even in Slaney Mel, area 1.
* `kaldi_weights`: Kaldi's (mn04, PaSST, CP-ResNet, AST): triangles linear in Mel, peak 1.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from hearless.dsp.scales import hz_to_kaldi, hz_to_slaney, kaldi_to_hz, slaney_to_hz
from hearless.interfaces import HearlessError


@lru_cache(maxsize=64)
def slaney_weights(bin_hz: tuple[float, ...], n_bands: int, low_hz: float, high_hz: float) -> Tensor:
    """Return Slaney-normed Mel weights as librosa makes them.

    Args:
        bin_hz: frequency of each spectrum bin.
        n_bands: number of bands.
        low_hz: lower edge of the lowest band.
        high_hz: upper edge of the highest band.

    Returns:
        float64 ``[bin, band]``; power spectrum ``@`` weights = Mel power.  Shared: do not write into it.

    Raises:
        HearlessError: no band, or an empty range of frequencies.
    """
    edges = slaney_to_hz(_even_edges(hz_to_slaney(float(low_hz)), hz_to_slaney(float(high_hz)), n_bands))
    return triangles(torch.tensor(bin_hz, dtype=torch.float64), edges) * (2.0 / (edges[2:] - edges[:-2]))


@lru_cache(maxsize=64)
def kaldi_weights(bin_hz: tuple[float, ...], n_bands: int, low_hz: float, high_hz: float) -> Tensor:
    """Return Kaldi's Mel weights: triangles of peak 1, linear in Mel (arguments as for `slaney_weights`).

    The bin at Nyquist weighs nothing as long as ``high_hz`` is not above it, as in the original.
    """
    edges = _even_edges(hz_to_kaldi(float(low_hz)), hz_to_kaldi(float(high_hz)), n_bands)
    return triangles(hz_to_kaldi(torch.tensor(bin_hz, dtype=torch.float64)), edges)


def slaney_centres(n_bands: int, low_hz: float, high_hz: float) -> tuple[float, ...]:
    """Return the centre of each band of `slaney_weights` in Hz."""
    edges = _even_edges(hz_to_slaney(float(low_hz)), hz_to_slaney(float(high_hz)), n_bands)
    return tuple(slaney_to_hz(edges[1:-1]).tolist())


def kaldi_centres(n_bands: int, low_hz: float, high_hz: float) -> tuple[float, ...]:
    """Return the centre of each band of `kaldi_weights` in Hz."""
    edges = _even_edges(hz_to_kaldi(float(low_hz)), hz_to_kaldi(float(high_hz)), n_bands)
    return tuple(kaldi_to_hz(edges[1:-1]).tolist())


def triangles(places: Tensor, edges: Tensor) -> Tensor:
    """Return triangles ``[place, band]``: 0 at ``edges[i]``, 1 at ``edges[i + 1]``, 0 at ``edges[i + 2]``."""
    rising = (places[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - places[:, None]) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0.0)


def _even_edges(low: float, high: float, n_bands: int) -> Tensor:
    if n_bands < 1 or not 0.0 <= low < high:
        raise HearlessError(
            f"a filter bank needs at least one band between two rising edges from 0 on, got n_bands={n_bands} "
            f"from {low:g} to {high:g} Mel; check low_hz and high_hz."
        )
    return torch.linspace(low, high, n_bands + 2, dtype=torch.float64)
