"""Griffin-Lim: samples whose short-time spectrum comes near given magnitudes, for people to listen to.

Griffin and Lim 1984 find the phases by going to and fro between spectrum and samples; Perraudin, Balazs and Søndergaard
2013 make it faster by stepping on in the direction of the last change (``momentum``; 0 is the former).
"""

from __future__ import annotations

import torch
from torch import Tensor

from hearless.interfaces import HearlessError

STEPS, MOMENTUM = 60, 0.99


def griffin_lim(
    magnitude: Tensor, window: Tensor, hop: int, generator: torch.Generator, *, steps: int = STEPS,
    momentum: float = MOMENTUM,
) -> Tensor:  # fmt: skip
    """Return samples with these magnitudes.

    Args:
        magnitude: ``[batch, bin, frame]``, 0 or more; frame ``m`` is centred on sample ``m hop``.
        window: of the analysis, ``[n_fft]`` (even).
        hop: samples between frames.
        generator: draws the first phases.
        steps: how often the phases are mended.
        momentum: 0 or more; near 1 is fast.

    Returns:
        ``[batch, hop * (frame - 1)]``.

    Raises:
        HearlessError: magnitudes that are negative, not finite or do not fit the window; a value out of range.
    """
    _check(magnitude, window, hop, steps, momentum)
    turn = torch.rand(magnitude.shape, generator=generator, device=generator.device).to(magnitude)
    spectrum = torch.polar(magnitude, 2.0 * torch.pi * turn)
    before = torch.zeros_like(spectrum)
    for _ in range(steps):
        now = analysed(samples_of(spectrum, window, hop), window, hop)
        ahead = now + momentum * (now - before)
        spectrum, before = magnitude * torch.sgn(ahead), now
    return samples_of(spectrum, window, hop)


def analysed(samples: Tensor, window: Tensor, hop: int) -> Tensor:
    """Return the spectrum ``[batch, bin, frame]`` of samples ``[batch, time]``, zeros around them."""
    size = len(window)
    return torch.stft(samples, size, hop, window=window.to(samples), pad_mode="constant", return_complex=True)


def samples_of(spectrum: Tensor, window: Tensor, hop: int) -> Tensor:
    """Return the samples ``[batch, time]`` whose spectrum is nearest to this one ``[batch, bin, frame]``."""
    return torch.istft(spectrum, len(window), hop, window=window.to(spectrum.real))


def spectral_convergence(samples: Tensor, magnitude: Tensor, window: Tensor, hop: int) -> Tensor:
    """Return how far the samples' magnitudes are from those wanted, as a share of them: ``[batch]``."""
    found = analysed(samples, window, hop).abs()
    apart, whole = (one.square().sum((1, 2)).sqrt() for one in (found - magnitude, magnitude))
    return apart / whole


def _check(magnitude: Tensor, window: Tensor, hop: int, steps: int, momentum: float) -> None:
    n_bins = len(window) // 2 + 1
    if magnitude.ndim != 3 or magnitude.shape[1] != n_bins or magnitude.shape[2] < 2 or len(window) % 2:
        raise HearlessError(
            f"magnitude must be [batch, {n_bins}, frame] of two frames or more for an even window of {len(window)}, "
            f"got shape {tuple(magnitude.shape)}."
        )
    if not magnitude.isfinite().all() or (magnitude < 0).any():
        raise HearlessError("magnitude must be finite and 0 or more; take the absolute value of a spectrum.")
    if not 1 <= hop <= len(window) // 2 or steps < 0 or momentum < 0:
        raise HearlessError(
            f"hop must be 1 to half the window of {len(window)}, steps and momentum 0 or more, got {hop}, {steps} and "
            f"{momentum:g}."
        )
