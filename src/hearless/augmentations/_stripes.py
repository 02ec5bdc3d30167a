"""Stripes of time and frequency, drawn in seconds and Hz and laid on any view's axes: what the masks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hearless.augmentations._draws import column
from hearless.dsp import scales
from hearless.interfaces import Axes, Draw, HearlessError

Scale = Callable[[float], float]
SCALES: dict[str, tuple[Scale, Scale]] = {
    "slaney": (scales.hz_to_slaney, scales.slaney_to_hz),
    "htk": (scales.hz_to_htk, scales.htk_to_hz),
    "kaldi": (scales.hz_to_kaldi, scales.kaldi_to_hz),
}


def require(holds: bool, name: str, rule: str, value: Any) -> None:
    """Refuse an argument, named with its mask, that breaks a rule."""
    if not holds:
        raise HearlessError(f"{name} must {rule}, got {value}.")


def check_bands(mask: str, low_hz: float, high_hz: float, mel: str) -> None:
    """Refuse edges that bound no stripe of frequency, or an unknown Mel scale."""
    require(0.0 <= low_hz < high_hz, f"{mask}: low_hz", "be 0 or more and below high_hz", (low_hz, high_hz))
    require(mel in SCALES, f"{mask}: mel", f"be one of {', '.join(SCALES)}", mel)


def draw_stripe(rng: np.random.Generator, low: float, high: float, max_width: float) -> tuple[float, float]:
    """Draw the two edges of a stripe within ``low``..``high``: width uniform up to ``max_width``, then place."""
    width = rng.uniform(0.0, min(max_width, high - low))
    start = rng.uniform(low, high - width)
    return float(start), float(start + width)


def draw_bands(
    rng: np.random.Generator, low_hz: float, high_hz: float, max_fraction: float, mel: str
) -> tuple[float, float]:
    """Draw the two edges in Hz of a stripe of frequency, uniform on a Mel scale, up to a share of the range wide."""
    to_mel, to_hz = SCALES[mel]
    low, high = to_mel(low_hz), to_mel(high_hz)
    start, end = draw_stripe(rng, low, high, max_fraction * (high - low))
    return to_hz(start), to_hz(end)


def inside(places: NDArray[np.floating[Any]], edges: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which places ``[place]`` lie in any of the half-open stripes ``[batch, stripe, 2]``: ``[batch, place]``."""
    hit = (places >= edges[..., :1]) & (places < edges[..., 1:])
    return np.asarray(hit.any(axis=1))


def on_axes(name: str, tensor: Tensor, where: int | Axes) -> Axes:
    """Return the axes that ``tensor``, features or a mask of them ``[batch, 1, band, frame]``, lies on.

    Raises:
        HearlessError: ``where`` is a rate, or the axes of something else.
    """
    if not isinstance(where, Axes):
        raise HearlessError(f"{name} masks features and needs their axes, got a rate of {where} Hz.")
    if tensor.ndim != 4 or tensor.shape[2:] != (len(where.band_hz), where.n_frames):
        raise HearlessError(
            f"{name}: features, and masks of them, must be [batch, 1, {len(where.band_hz)}, {where.n_frames}] on these "
            f"axes, got {tuple(tensor.shape)}; take the axes of the view that made the features."
        )
    return where


def hidden(
    name: str, tensor: Tensor, draws: Sequence[Draw], axes: Axes, times: Sequence[str], bands: Sequence[str]
) -> Tensor:
    """Say what a batch's stripes hide.

    Args:
        name: of the mask, for errors.
        tensor: what they are laid on, ``[batch, 1, band, frame]``.
        draws: one a clip.
        axes: where the tensor lies.
        times: the draws' keys of the stripes of time in s, with ``{}`` for "from" and "to".
        bands: those of the stripes of frequency in Hz.

    Returns:
        bool ``[batch, 1, band, frame]``, on the tensor's torch device.

    Raises:
        HearlessError: not one draw per clip, or draws of another augmentation.
    """
    frames = inside(np.arange(axes.n_frames) * axes.frame_s, _edges(name, tensor, draws, times))
    rows = inside(np.asarray(axes.band_hz), _edges(name, tensor, draws, bands))
    return torch.from_numpy(frames[:, None, None, :] | rows[:, None, :, None]).to(tensor.device)


def _edges(name: str, tensor: Tensor, draws: Sequence[Draw], keys: Sequence[str]) -> NDArray[np.float64]:
    """Return the edges of the stripes, ``[batch, stripe, 2]``."""
    edges = [[column(name, tensor, draws, key.format(edge)) for edge in ("from", "to")] for key in keys]
    return np.array(edges, dtype=np.float64).reshape(len(keys), 2, len(draws)).transpose(2, 0, 1)
