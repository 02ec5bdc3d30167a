"""Short-time spectra straight from samples of any rate: multiplication with analysis atoms.

A published front end is a set of atoms: ``X_k(m) = sum_t x(t) a_k(t - m hop)``, ``a_k(u) = w(u) exp(-2j pi f_k u)``.
They can be evaluated where another sensor's samples lie.  A pre-emphasis ``y(t) = x(t + h) - c x(t - h)`` moves into
them exactly: ``a'_k(u) = a_k(u - h) - c a_k(u + h)``.

At low rates plain sampling lets images fold back, for a window of few samples (8 at 250 Hz) ends its spectrum too
late.  There the atoms are fitted: the ones whose answer to every tone below 0.9 Nyquist is nearest to the reference's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor

from hearless.dsp.resample import PASS_BAND
from hearless.dsp.spectra import Analysis, hann, reflect

FITTED_UP_TO_HZ = 4000
"""Up to this rate atoms are fitted, fractions of a sample included; above, plain sampling is as good (< 0.05 dB)."""

EXTRA_SAMPLES = 6
"""Samples that fitted atoms reach beyond the reference's window, to either side."""

FIT_REST = 1e-4
"""Weight of what lies between `PASS_BAND` and Nyquist when atoms are fitted (power)."""


def analysis_atoms(analysis: Analysis, offset_s: Tensor, bin_hz: Sequence[float]) -> Tensor:
    """Return the analysis atoms, pre-emphasis included, at ``offset_s`` from the frame's centre.

    Args:
        analysis: what is published.
        offset_s: float64 ``[time]``.
        bin_hz: the bins' frequencies.

    Returns:
        float64 ``[time, 2 * bin]``, to be multiplied with samples at those times.
    """
    omega = 2.0 * math.pi * torch.tensor(bin_hz, dtype=torch.float64)

    def atom(time_s: Tensor) -> Tensor:
        return torch.polar(hann(time_s, analysis.support_s)[:, None].expand(-1, len(omega)), -time_s[:, None] * omega)

    half = analysis.half_delay_s
    total = atom(offset_s - half) - analysis.pre_emphasis * atom(offset_s + half)
    parts: Tensor = torch.view_as_real(total).flatten(-2)
    return parts


def frame_atoms(analysis: Analysis, rate_hz: int, bin_hz: Sequence[float]) -> tuple[tuple[int, ...], Tensor]:
    """Return where frames start and their atoms, for samples at ``rate_hz``.

    Where ``hop * rate`` is no integer, frames start at rounded positions; after ``n`` frames (the hop's denominator)
    the pattern repeats.  Up to `FITTED_UP_TO_HZ` the atoms give back what rounding takes away.

    Returns:
        centre of each of the ``n`` frames in whole samples, and float64 atoms ``[n or 1, time, 2 * bin]`` over
        ``time = 2 * reach + 1`` samples around them.
    """
    hop = analysis.hop_at(rate_hz)
    centres = [frame * hop for frame in range(hop.denominator)]
    starts = tuple(math.floor(centre + Fraction(1, 2)) for centre in centres)
    reach = math.ceil((analysis.support_s / 2.0 + analysis.half_delay_s) * rate_hz)
    if rate_hz > FITTED_UP_TO_HZ:
        time = torch.arange(-reach, reach + 1, dtype=torch.float64)
        return starts, analysis_atoms(analysis, time / rate_hz, bin_hz)[None] * (analysis.rate_hz / rate_hz)
    time = torch.arange(-reach - EXTRA_SAMPLES, reach + EXTRA_SAMPLES + 1, dtype=torch.float64)
    rests = [float(start - centre) for start, centre in zip(starts, centres, strict=True)]
    return starts, torch.stack([_fitted_atoms(analysis, time + rest, rate_hz, bin_hz) for rest in rests])


def _fitted_atoms(analysis: Analysis, time: Tensor, rate_hz: int, bin_hz: Sequence[float]) -> Tensor:
    """Fit atoms on samples at ``time`` (in samples of ``rate_hz``) to the reference's, by least squares over frequency.

    Weight 1 up to `PASS_BAND` of Nyquist, `FIT_REST` above.  The weighted inner product of two samples' spectra is
    ``k(distance)`` below, so the normal equations need no grid of frequencies: ``k(t - t') a' = k(t - s) a``.
    """
    last = math.ceil((analysis.support_s / 2.0 + analysis.half_delay_s) * analysis.rate_hz)
    reference = torch.arange(-last, last + 1, dtype=torch.float64) / analysis.rate_hz
    atoms = analysis_atoms(analysis, reference, bin_hz)

    def k(distance: Tensor) -> Tensor:
        return FIT_REST * torch.sinc(distance) + (1.0 - FIT_REST) * PASS_BAND * torch.sinc(PASS_BAND * distance)

    inner = k(time[:, None] - time)
    fitted: Tensor = torch.linalg.solve(inner, k(time[:, None] - reference * rate_hz) @ atoms)
    return fitted


def atom_parts(waveform: Tensor, atoms: Tensor, starts: Sequence[int], period: int, n_frames: int) -> Tensor:
    """Multiply frames with their atoms: a short-time DFT as a matrix product.

    Args:
        waveform: ``[batch, time]``.
        atoms: ``[n or 1, 2 * reach + 1, 2 * bin]`` of `frame_atoms`.
        starts: of `frame_atoms`.
        period: samples after which ``starts`` repeat.
        n_frames: frames wanted.

    Returns:
        parts ``[batch, frame, 2 * bin]``; the edges are reflected.
    """
    reach = atoms.shape[1] // 2
    n_blocks = -(-n_frames // len(starts))
    padded = reflect(waveform, reach, reach, (n_blocks - 1) * period + starts[-1] + 2 * reach + 1)
    frames = [padded[:, start:].unfold(-1, atoms.shape[1], period)[:, :n_blocks] for start in starts]
    parts = [frame @ atoms[i % len(atoms)] for i, frame in enumerate(frames)]
    if len(parts) == 1:
        return parts[0]
    return torch.stack(parts, dim=2).flatten(1, 2)[:, :n_frames]
