"""What augmentations check: draws and clips must pair, and shares of a mixture come from a Beta distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from hearless.interfaces import Axes, Draw, HearlessError


def column(name: str, tensor: Tensor, draws: Sequence[Draw], key: str) -> list[float]:
    """Return ``key`` of every draw, one a clip of ``tensor`` ``[batch, …]``.

    Raises:
        HearlessError: the number of draws is not the batch size, or a draw lacks ``key``.
    """
    if len(draws) != tensor.shape[0]:
        raise HearlessError(f"{name} needs one draw per clip, got {len(draws)} draws for {tensor.shape[0]} clips.")
    for draw in draws:
        if key not in draw:
            raise HearlessError(f"{name}: a draw needs {key!r}, got {sorted(draw)}; replay draws on what drew them.")
    return [draw[key] for draw in draws]


def axes_of_features(name: str, where: int | Axes) -> Axes:
    """Return the axes of the features that ``name`` changes.

    Raises:
        HearlessError: a waveform's rate in their place.
    """
    if not isinstance(where, Axes):
        raise HearlessError(f"{name} changes features and needs their axes, got a rate of {where} Hz.")
    return where


def check_mixing(name: str, probability: float, alpha: float, usual: float) -> None:
    """Refuse a probability outside 0..1, or an alpha of a Beta distribution that is not above 0.

    Raises:
        HearlessError: so; it names the paper's ``usual`` alpha.
    """
    if not 0.0 < probability <= 1.0:
        raise HearlessError(f"{name}: probability must lie in 0..1, 0 excluded, got {probability}.")
    if not 0.0 < alpha < math.inf:
        raise HearlessError(f"{name}: alpha must be above 0 and finite, got {alpha}; the paper's is {usual}.")
