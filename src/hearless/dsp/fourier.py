"""The Fourier transform of real frames as two matrix products, for runtimes without a fast one of their own.

Cooley and Tukey, "An Algorithm for the Machine Calculation of Complex Fourier Series" (1965), one step: with
``n = r s`` the samples ``a s + b`` are transformed over ``a``, turned by ``exp(-2 pi i b k / n)`` and transformed over
``b``.  4,096 samples then take a million multiplications, and tables of 100 kB; one product would take eight million
and 34 MB.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hearless.interfaces import HearlessError


def fourier_tables(n_fft: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return what `fourier_parts` multiplies with: float64.

    Returns:
        the inner transform ``[r, 2 r]``, the turns ``[2, s, r]`` and the outer transform ``[2 s, 2 (s // 2 + 1)]``,
        real and imaginary parts side by side; ``r`` is the greatest divisor of ``n_fft`` up to its root.

    Raises:
        HearlessError: fewer than two samples.
    """
    if n_fft < 2:
        raise HearlessError(f"n_fft must be at least 2, got {n_fft}.")
    r = next(d for d in range(math.isqrt(n_fft), 0, -1) if n_fft % d == 0)
    s = n_fft // r
    inner = _turns(torch.outer(torch.arange(r), torch.arange(r)), r)
    outer = _turns(torch.outer(torch.arange(s), torch.arange(s // 2 + 1)), s)
    real, imaginary = outer.unbind()
    rows = torch.stack([torch.stack([real, imaginary], -1), torch.stack([-imaginary, real], -1)])
    return (
        torch.cat([*inner], dim=1),
        _turns(torch.outer(torch.arange(s), torch.arange(r)), n_fft),
        rows.reshape(2 * s, -1),
    )


def _turns(product: Tensor, n: int) -> Tensor:
    """Return real and imaginary part ``[2, …]`` of ``exp(-2 pi i product / n)``."""
    angle = -2.0 * math.pi / n * (product % n).double()
    return torch.stack([angle.cos(), angle.sin()])


def fourier_parts(frames: Tensor, tables: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Return the parts ``[…, 2 * bin]`` of frames ``[…, time]``: real and imaginary parts of each bin in turn."""
    inner, (real_turn, imaginary_turn), outer = tables[0], tables[1], tables[2]
    s, r = real_turn.shape
    real, imaginary = torch.split(frames.reshape(*frames.shape[:-1], r, s).mT @ inner, r, dim=-1)
    turned = [real * real_turn - imaginary * imaginary_turn, real * imaginary_turn + imaginary * real_turn]
    bins = torch.cat(turned, dim=-2).mT @ outer
    in_order = bins.reshape(*bins.shape[:-1], s // 2 + 1, 2).transpose(-3, -2).flatten(-3, -2)
    return in_order[..., : r * s // 2 + 1, :].flatten(-2)
