"""Convolution of many waveforms with one filter each, by Fourier transform.

A clip's samples come out the same to the last bit whichever clips share its batch, for stored teachers explained them
in another order.  Two things see to that: spectra are multiplied row by row (over a whole batch, a row's bins round
differently where a vector of the processor ends), and a clip alone is transformed twice (one transform takes another
path than several).
"""

from __future__ import annotations

import torch
from torch import Tensor

from hearless.interfaces import HearlessError


def fast_length(at_least: int) -> int:
    """Return the smallest even product of 2, 3 and 5 from ``at_least`` on: lengths that transform fast."""
    best = 1 << max(1, at_least - 1).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            two = -(-at_least // three)
            best = min(best, three * (1 << max(1, (two - 1).bit_length())))
            three *= 3
        five *= 5
    return best


def filter_spectra(filters: Tensor, n_samples: int) -> tuple[Tensor, int]:
    """Transform filters ``[filter, tap]`` for waveforms of ``n_samples``.

    Returns:
        complex ``[filter, bin]`` and the length of the transform, long enough that nothing wraps around.
    """
    taps = filters[:, :n_samples]
    length = fast_length(n_samples + taps.shape[1] - 1)
    return torch.fft.rfft(taps, length), length


def convolve(waveform: Tensor, spectra: Tensor, length: int) -> Tensor:
    """Convolve ``[batch, time]`` with a filter each, cut to its own length.

    Args:
        waveform: floating point ``[batch, time]``.
        spectra: ``[batch, bin]`` of `filter_spectra`, on the same torch device.
        length: of `filter_spectra`.

    Raises:
        HearlessError: integers, or not one filter a waveform.
    """
    if waveform.ndim != 2 or not waveform.is_floating_point() or len(spectra) != len(waveform):
        raise HearlessError(
            f"convolution takes floating-point [batch, time] and one filter a clip, got {waveform.dtype} of shape "
            f"{tuple(waveform.shape)} and {len(spectra)} filters."
        )
    if len(waveform) == 1:
        return convolve(waveform.expand(2, -1), spectra.expand(2, -1), length)[:1]
    product = torch.stack([a * b for a, b in zip(torch.fft.rfft(waveform, length), spectra, strict=True)])
    full: Tensor = torch.fft.irfft(product, length)
    return full[:, : waveform.shape[-1]]
