"""Mixup of waveforms, their labels and their weights, as AST and paper 002 train with on Speech Commands.

Source: AST (Gong et al. 2021): with a probability of 0.6 a clip becomes λ of itself and 1 - λ of another, λ from
Beta(10, 10), and its labels likewise.

What differs from the published code: the other clip is one of the same batch instead of the whole data set (the order
of the draws' ``place``, a uniformly random permutation; a clip that meets itself stays as it is).  AST removes each
waveform's mean before mixing and the mixture's afterwards; here no mean is removed, which is the same: mixing is
linear, and `KaldiFbank` takes away the mean of what it hears, so that those of both clips cancel there (a short clip's
up to where its padding begins).

A batch-level draw (see `FreqMixStyle`): stored teacher logits cannot follow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hearless.augmentations._draws import check_mixing, column
from hearless.interfaces import Axes, Clip, Draw, HearlessError

EXAMPLE: dict[str, Any] = {"probability": 1.0}


def mixup(rows: Tensor, share: Tensor, partner: Tensor) -> Tensor:
    """Mix the rows of a batch; exact where a row keeps all of itself or meets its like.

    Args:
        rows: floating point ``[batch, …]``.
        share: each row's weight of its own, ``[batch]`` in 0..1.
        partner: the row that gives the rest, ``[batch]``.

    Returns:
        ``share * rows + (1 - share) * rows[partner]``.
    """
    return torch.lerp(rows[partner], rows, share.view(-1, *(1,) * (rows.ndim - 1)))


class Mixup:
    """Mix each clip of a batch with another: sound, labels and weight in the loss alike, for both ears.

    Args:
        probability: share of the clips mixed.
        alpha: of the Beta distribution; at 10 most mixtures are about half and half.

    Raises:
        HearlessError: a probability outside 0..1, or an alpha that is not above 0.
    """

    place: Literal["waveform", "features", "keep", "clips"] = "clips"
    hearers: Literal["both", "student"] = "both"
    level: Literal["clip", "batch"] = "batch"

    def __init__(self, *, probability: float = 0.6, alpha: float = 10.0) -> None:
        check_mixing("Mixup", probability, alpha, 10)
        self.probability, self.alpha = probability, alpha

    def draw(self, rng: np.random.Generator, clip: Clip, duration_s: float) -> Draw:
        """Draw ``{"share": 0..1, "place": 0..1}``; the share of a clip that is not mixed is 1."""
        mixed, share, place = rng.random() < self.probability, rng.beta(self.alpha, self.alpha), rng.random()
        return {"share": float(share) if mixed else 1.0, "place": float(place)}

    def apply(self, tensor: Tensor, draws: Sequence[Draw], where: int | Axes) -> Tensor:
        """Mix the clips of ``[batch, …]``: waveforms, targets ``[batch, class]`` or weights, all by the same draws.

        Raises:
            HearlessError: not one draw per clip, or a tensor that is not of floats.
        """
        share, place = (column("Mixup", tensor, draws, key) for key in ("share", "place"))
        if not tensor.is_floating_point():
            raise HearlessError(f"Mixup needs floating point, got {tensor.dtype}; scale integers to ±1 first.")
        partner = torch.tensor(np.argsort(place, kind="stable"), device=tensor.device)
        return mixup(tensor, tensor.new_tensor(share), partner)
