"""Draws and clips must pair: the one check that every augmentation makes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from hearless.interfaces import Draw, HearlessError


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
