"""Freq-MixStyle: give each clip, band by band, the mean and deviation of a mixture of its own and another clip's.

Source: paper 004 §II.C.1, Kim et al. 2022 (Interspeech) and Schmid et al. (CP-JKU DCASE22/23): with a probability per
batch, statistics over channel and time of each band (variance unbiased, 1e-6 added, no gradient), mixing weight from
Beta(α, α) per clip, partner by a permutation.  Students: probability 0.4, α 0.3; CP-ResNet 0.8 and 0.4; PaSST 0.4 and
0.4.

**Drawn for a batch.**  Whoever draws a batch-level change draws once a clip, in the batch's order, from *one* generator
of (seed, epoch, step); what holds for the whole batch is the first clip's.  So the promise of an augmentation stays as
it is: plain numbers, one draw a clip, replayable.  The partners are the order of the clips' ``place``, a uniformly
random permutation.
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

EPS = 1e-6


def freq_mixstyle(features: Tensor, share: Tensor, partner: Tensor) -> Tensor:
    """Exchange the bands' statistics.

    Args:
        features: ``[batch, channel, band, frame]``.
        share: each clip's weight of its own statistics, ``[batch]`` in 0..1.
        partner: the clip that gives the rest, ``[batch]``.

    Returns:
        Features of the same shape.
    """
    mean = features.mean((1, 3), keepdim=True).detach()
    deviation = (features.var((1, 3), keepdim=True) + EPS).sqrt().detach()
    own = share[:, None, None, None]
    mixed_mean, mixed_deviation = (own * s + (1.0 - own) * s[partner] for s in (mean, deviation))
    return (features - mean) / deviation * mixed_deviation + mixed_mean


class FreqMixStyle:
    """Mix the style of bands between the clips of a batch.

    Args:
        probability: share of the batches mixed.
        alpha: of the Beta distribution; below 1 most clips keep nearly their own or take nearly the other's.

    Raises:
        HearlessError: a probability outside 0..1, or an alpha that is not above 0.
    """

    place: Literal["waveform", "features", "keep", "clips"] = "features"
    hearers: Literal["both", "student"] = "student"
    level: Literal["clip", "batch"] = "batch"

    def __init__(self, *, probability: float = 0.4, alpha: float = 0.3) -> None:
        check_mixing("FreqMixStyle", probability, alpha, 0.3)
        self.probability, self.alpha = probability, alpha

    def draw(self, rng: np.random.Generator, clip: Clip, duration_s: float) -> Draw:
        """Draw ``{"mixed": 0 or 1, "share": 0..1, "place": 0..1}``; the first clip's ``mixed`` is the batch's."""
        mixed = float(rng.random() < self.probability)
        return {"mixed": mixed, "share": float(rng.beta(self.alpha, self.alpha)), "place": float(rng.random())}

    def apply(self, tensor: Tensor, draws: Sequence[Draw], where: int | Axes) -> Tensor:
        """Mix features ``[batch, 1, band, frame]``; one clip alone, or one frame, stays as it is.

        Raises:
            HearlessError: not one draw per clip, or no features on axes.
        """
        mixed, share, place = (column("FreqMixStyle", tensor, draws, key) for key in ("mixed", "share", "place"))
        if not isinstance(where, Axes) or tensor.ndim != 4:
            raise HearlessError(
                f"FreqMixStyle changes features [batch, 1, band, frame] on their axes, got shape {tuple(tensor.shape)}."
            )
        if not mixed[0] or len(mixed) < 2 or tensor.shape[1] * tensor.shape[3] < 2:
            return tensor
        partner = torch.tensor(np.argsort(place, kind="stable"), device=tensor.device)
        return freq_mixstyle(tensor, tensor.new_tensor(share), partner)
