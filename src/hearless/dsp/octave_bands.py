"""One-third-octave bands from 20 Hz to 12.5 kHz, or octave bands from 31.5 Hz to 16 kHz, over the bins of a spectrum.

IEC 61260-1, base ten: band ``i`` is centred on ``1000 * 10 ** ((i - 17) / 10)`` Hz, its edges lie a factor
``10 ** (1 / 20)`` away; an octave is three of them.  Of the highest octave only what lies below half the rate (16 kHz)
is measured; its band ends at 22.4 kHz.  Two ways to share out the bins, which lie ``rate / n_fft`` apart:

* ``"published"`` (paper 003): whole bins from ``ceil(low / distance)`` to ``ceil(high / distance)``, both included, so
  that neighbours share one bin; levels of all bands add to a little more than the sound's energy.
* ``"iec61260"`` (real meters): a bin reaches half a distance to either side and is split where an edge crosses it;
  levels add to the energy between the lowest and the highest edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from hearless.interfaces import HearlessError

RATE_HZ = 32000
"""Rate at which levels are measured."""

OFFSET_DB = 26.0
"""Paper 003's calibration: level = 20 log10(rms) + 26, a full-scale sine has 22.99 dB."""

FLOOR_RMS = 1e-9
"""What an rms of exactly 0 is taken for: a level of -154 dB."""

BANDS = ("published", "iec61260")
NOMINAL_HZ = (
    20.0, 25.0, 31.5, 40.0, 50.0, 63.0, 80.0, 100.0, 125.0, 160.0, 200.0, 250.0, 315.0, 400.0, 500.0, 630.0, 800.0,
    1000.0, 1250.0, 1600.0, 2000.0, 2500.0, 3150.0, 4000.0, 5000.0, 6300.0, 8000.0, 10000.0, 12500.0,
)  # fmt: skip
"""What meters call the bands."""

N_BANDS = len(NOMINAL_HZ)
CENTRE_HZ = tuple(1000.0 * 10.0 ** ((band - 17) / 10) for band in range(N_BANDS))
OCTAVES = {"1/3": range(-17, 12), "1/1": range(-15, 13, 3)}
"""The bands of thirds of an octave and of octaves, counted in thirds from 1 kHz."""


@dataclass(frozen=True)
class Interval:
    """How often a meter writes levels.

    Attributes:
        frame: samples at `RATE_HZ` that one level is measured from, also the length of its Fourier transform.
        hop: samples between two.
    """

    frame: int
    hop: int

    @property
    def rate_hz(self) -> int:
        """Levels per second."""
        return RATE_HZ // self.hop

    def n_frames(self, n_samples: int) -> int:
        """Return the frames of ``n_samples``; the last is filled up with zeros."""
        return 1 + max(0, -(-(n_samples - self.frame) // self.hop))


INTERVALS = {"fast": Interval(4096, 4000), "slow": Interval(32976, 32000)}
"""125 ms and 1 s of IEC 61672-1, in the frames of paper 003."""


def interval_of(name: str, owner: str) -> Interval:
    """Return the interval ``"fast"`` or ``"slow"``; ``owner`` names who asks, for the error."""
    if name not in INTERVALS:
        raise HearlessError(f"{owner}: interval must be one of {', '.join(INTERVALS)}, got {name!r}.")
    return INTERVALS[name]


def bands_of(octaves: str, owner: str) -> range:
    """Return the bands of ``"1/3"`` or ``"1/1"`` octaves; ``owner`` names who asks, for the error."""
    if octaves not in OCTAVES:
        raise HearlessError(f"{owner}: octaves must be one of {', '.join(OCTAVES)}, got {octaves!r}.")
    return OCTAVES[octaves]


def centres_hz(octaves: str = "1/3") -> tuple[float, ...]:
    """Return the exact centres of the bands."""
    return tuple(1000.0 * 10.0 ** (band / 10) for band in OCTAVES[octaves])


def nominal_hz(octaves: str = "1/3") -> tuple[float, ...]:
    """Return what meters call the bands."""
    return tuple([*NOMINAL_HZ, 16000.0][band + 17] for band in OCTAVES[octaves])


def edges_hz(octaves: str = "1/3") -> Tensor:
    """Return where the bands meet, one more than there are bands, float64."""
    bands = OCTAVES[octaves]
    places = torch.arange(len(bands) + 1, dtype=torch.float64) * bands.step
    return 1000.0 * 10.0 ** ((places + (bands.start - bands.step / 2)) / 10)


@lru_cache(maxsize=8)
def band_weights(bands: str, n_fft: int, octaves: str = "1/3") -> Tensor:
    """Return which share of each bin of an ``n_fft``-point spectrum at `RATE_HZ` belongs to which band.

    Args:
        bands: ``"published"`` or ``"iec61260"``.
        n_fft: length of the Fourier transform; it must set at least one bin into each band.
        octaves: ``"1/3"`` or ``"1/1"``.

    Returns:
        float64 ``[bin, band]`` of 0 to 1.  Shared: do not write into it.

    Raises:
        HearlessError: an unknown kind of bands.
    """
    if bands not in BANDS:
        raise HearlessError(f"bands must be one of {', '.join(BANDS)}, got {bands!r}.")
    places = edges_hz(octaves) * n_fft / RATE_HZ
    number = torch.arange(n_fft // 2 + 1, dtype=torch.float64)[:, None]
    low, high = places[:-1], places[1:]
    if bands == "published":
        # 1e-9: an edge that is a whole bin but for rounding is that bin
        return ((number >= (low - 1e-9).ceil()) & (number <= (high - 1e-9).ceil())).double()
    return (torch.minimum(number + 0.5, high) - torch.maximum(number - 0.5, low)).clamp(min=0.0)


def tukey(length: int, taper: float = 0.2) -> Tensor:
    """Return the periodic Tukey window, float64 ``[length]``: a cosine over ``taper`` of it, one in between."""
    place = torch.arange(length, dtype=torch.float64)
    from_end = torch.minimum(place, length - place)
    width = taper * length / 2.0
    return torch.where(from_end < width, 0.5 - 0.5 * torch.cos(math.pi * from_end / width), 1.0)
