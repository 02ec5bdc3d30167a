"""A published short-time analysis in ms and Hz, and its spectra by FFT.

Written in seconds and Hz, a front end has no rate: bins lie 1 / ``fft_ms`` apart, frames ``hop_ms``, the window is a
Hann of so many ms.  So it can be evaluated on samples of another rate, wherever its bins fall on an FFT of that rate
(elsewhere and at low rates: `hearless.dsp.atoms`); ``reference rate / rate`` rescales the sum.

Frame ``m`` is centred on ``m hop``.  That holds for both published windows: the periodic Hann, and the plain Hann after
a pre-emphasis, whose output sample ``i`` lies at ``i + 1/2`` (`hearless.dsp.pre_emphasis`).

Spectra come as *parts* ``[..., frame, 2 * bin]``: real and imaginary parts side by side, whose squares sum to power.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from hearless.dsp.fourier import fourier_parts
from hearless.dsp.resample import resampled_length
from hearless.interfaces import HearlessError


@dataclass(frozen=True)
class Analysis:
    """A short-time Fourier analysis as published: set in ms, with centred frames and a Hann window.

    Attributes:
        rate_hz: the reference rate at which it was published.
        window_ms: length of the Hann window (periodic, or plain where there is a pre-emphasis).
        hop_ms: time between frames.
        fft_ms: one over the distance between bins.
        pre_emphasis: ``c`` in ``x[i + 1] - c x[i]`` at the reference rate; 0 for none.
    """

    rate_hz: int
    window_ms: float
    hop_ms: float
    fft_ms: float
    pre_emphasis: float = 0.0

    def __post_init__(self) -> None:
        for name in ("window_ms", "hop_ms", "fft_ms"):
            value = getattr(self, name)
            samples = value * self.rate_hz / 1000.0
            if samples < 1 or abs(samples - round(samples)) > 1e-6:
                raise HearlessError(
                    f"{name} must be a whole number of samples at the reference rate {self.rate_hz} Hz, "
                    f"got {value:g} ms = {samples:g} samples."
                )
        if self.window_ms > self.fft_ms:
            raise HearlessError(f"window_ms must not exceed fft_ms, got {self.window_ms:g} over {self.fft_ms:g}.")

    @property
    def hop_samples(self) -> int:
        """Hop in samples of the reference rate."""
        return round(self.hop_ms * self.rate_hz / 1000.0)

    @property
    def support_s(self) -> float:
        """Where the window ends: it is zero from ``support_s / 2`` before and after its centre on."""
        plain = 1 if self.pre_emphasis else 0
        return (round(self.window_ms * self.rate_hz / 1000.0) - plain) / self.rate_hz

    @property
    def half_delay_s(self) -> float:
        """Half of the pre-emphasis' delay, 0 where there is none."""
        return 0.5 / self.rate_hz if self.pre_emphasis else 0.0

    def n_frames(self, n_samples: int, rate_hz: int) -> int:
        """Return the frames of ``n_samples`` at ``rate_hz``: as many as the reference makes of the same duration."""
        lost = 1 if self.pre_emphasis else 0
        return 1 + (resampled_length(n_samples, rate_hz, self.rate_hz) - lost) // self.hop_samples

    def hop_at(self, rate_hz: int) -> Fraction:
        """Return the hop in samples of ``rate_hz``, exactly."""
        return Fraction(self.hop_samples * rate_hz, self.rate_hz)

    def fft_at(self, rate_hz: int) -> Fraction:
        """Return the FFT's length in samples of ``rate_hz``, exactly."""
        return Fraction(round(self.fft_ms * self.rate_hz / 1000.0) * rate_hz, self.rate_hz)

    def bin_hz(self, rate_hz: int) -> tuple[float, ...]:
        """Return the reference's bins up to the Nyquist frequency of ``rate_hz``."""
        return tuple(k * 1000.0 / self.fft_ms for k in range(math.floor(self.fft_at(rate_hz) / 2) + 1))


def hann(offset_s: Tensor, support_s: float) -> Tensor:
    """Return a Hann window of ``support_s`` seconds, centred on 0, at ``offset_s`` (any shape)."""
    window = 0.5 + 0.5 * torch.cos(2.0 * math.pi / support_s * offset_s)
    return torch.where(offset_s.abs() < support_s / 2.0, window, 0.0)


def fft_window(analysis: Analysis, rate_hz: int) -> Tensor:
    """Return the window for `fft_parts`, rescaled for its rate: float64 ``[fft]``."""
    n_fft = int(analysis.fft_at(rate_hz))
    shift = 0.5 if analysis.pre_emphasis else 0.0
    time = torch.arange(n_fft, dtype=torch.float64) - n_fft // 2 + shift
    return hann(time / rate_hz, analysis.support_s) * (analysis.rate_hz / rate_hz)


def fft_parts(
    waveform: Tensor, window: Tensor, hop: int, n_frames: int, tables: tuple[Tensor, Tensor, Tensor] | None = None
) -> Tensor:
    """Window and Fourier-transform centred frames.

    While a front end is exported, it does so by matrix products, on frames put together of hops: onnxruntime's own
    transform, and its gathering of frames sample by sample, are slower.

    Args:
        waveform: ``[batch, time]``, already pre-emphasised.
        window: ``[fft]`` of `fft_window`.
        hop: in samples.
        n_frames: frames wanted.
        tables: of `hearless.dsp.fourier.fourier_tables`, for the products.

    Returns:
        parts ``[batch, frame, 2 * bin]``; the edges are reflected as in the published front ends.
    """
    n_fft = window.shape[0]
    padded = reflect(waveform, n_fft // 2, n_fft // 2, (n_frames - 1) * hop + n_fft)
    if tables is not None and torch.compiler.is_exporting():
        return fourier_parts(_of_hops(padded, n_fft, hop, n_frames) * window, tables)
    frames = padded.unfold(-1, n_fft, hop)[:, :n_frames] * window
    return torch.view_as_real(torch.fft.rfft(frames)).flatten(-2)


def _of_hops(padded: Tensor, n_fft: int, hop: int, n_frames: int) -> Tensor:
    """Return the frames ``[batch, frame, fft]`` that unfolding would give, put together of pieces of a hop."""
    pieces = -(-n_fft // hop)
    wanted = (n_frames + pieces - 1) * hop
    hops = torch.nn.functional.pad(padded, (0, pieces * hop))[:, :wanted].reshape(padded.shape[0], -1, hop)
    return torch.cat([hops[:, i : i + n_frames] for i in range(pieces)], dim=-1)[..., :n_fft]


def reflect(waveform: Tensor, before: int, after: int, at_least: int) -> Tensor:
    """Reflect both ends of ``[batch, time]``; add zeros where that leaves fewer than ``at_least`` samples.

    Raises:
        HearlessError: fewer samples than there are to reflect.
    """
    n_samples = waveform.shape[-1]
    if n_samples <= max(before, after):
        raise HearlessError(
            f"waveform must be longer than the {max(before, after)} samples that are reflected at its ends, "
            f"got {n_samples}; pad the clip with silence or drop it."
        )
    first = waveform[:, 1 : before + 1].flip(-1)
    last = waveform[:, n_samples - 1 - after : n_samples - 1].flip(-1)
    missing = max(0, at_least - before - n_samples - after)
    return torch.cat([first, waveform, last, waveform.new_zeros(waveform.shape[0], missing)], dim=-1)
