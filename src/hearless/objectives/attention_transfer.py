"""Where the teacher looks: attention transfer (Zagoruyko & Komodakis 2017, "Paying More Attention …", ICLR).

``L = h * CE + beta / 2 * Σ |q_s - q_t|²``, over pairs of inner maps; ``q`` is the sum over channels of the squared
activations, a vector over bands and frames, divided by its length.  It asks for no common number of channels and adds
no parameters.  beta (1000) over the number of places and of clips is the paper's weight: the squared differences are
averaged over both, and summed over pairs, of which the paper takes one for each of a network's three or four groups:
name as many, for all pairs of a deep network outweigh the labels.  The authors' code (and RepDistiller) leaves out the
half, so its 1000 is 2000 here.

Differs: the distance is squared, which is smooth where student and teacher agree.  Of two sizes, as a low-rate student
and its teacher have, the larger map of energies is averaged down before it is divided by its length.  Each axis is then
stretched, not aligned: a student that hears fewer hertz is told the shape of attention, not its frequencies.  A clip
that is silent in a map has a vector of zeros.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hearless.interfaces import Needs, Prediction
from hearless.objectives._features import at_one_size, check_batch, check_pairs, paired_maps
from hearless.objectives._terms import check_weights, hard_term, weighted_mean

EXAMPLE: dict[str, Any] = {"maps": "", "beta": 1000.0, "hard_weight": 1.0}

NAME = "AttentionTransfer"


def attention_transfer_loss(student: Tensor, teacher: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return half the squared difference of attention, averaged over places and clips, of one pair of maps.

    Args:
        student: ``[batch, channel, band, frame]``.
        teacher: the same, of any numbers of channels, bands and frames; no gradient flows into it.
        weight: ``[batch]``, each clip's weight, or None.

    Raises:
        HearlessError: the maps are of other numbers of clips.
    """
    check_batch(NAME, student, teacher)
    energies = (inner.square().sum(1, keepdim=True) for inner in (student, teacher.detach().to(student)))
    ours, theirs = (F.normalize(energy.flatten(1), dim=-1) for energy in at_one_size(*energies))
    return weighted_mean(0.5 * (ours - theirs).square().mean(dim=-1), weight)


class AttentionTransfer(nn.Module):
    """Attention transfer on inner maps; terms ``hard`` and ``attention``.

    Args:
        maps: which, comma-joined, each as ``"stage2"`` or ``"student's=teacher's"``; empty: as many as both have,
            paired from the last on.
        beta: weight of the attention.
        hard_weight: weight of the hard labels; at 0 their term is left out, for use beside another objective.
    """

    needs_teacher: bool = True
    needs: Needs = "maps"

    def __init__(self, *, maps: str = "", beta: float = 1000.0, hard_weight: float = 1.0) -> None:
        super().__init__()
        check_pairs(NAME, maps)
        check_weights(NAME, beta=beta, hard_weight=hard_weight)
        self.maps, self.beta, self.hard_weight = maps, beta, hard_weight

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Own nothing; refuse a missing teacher, or maps that are not there."""
        paired_maps(NAME, self.maps, student, teacher)

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return both terms; ``target`` ``[batch, class]``, ``weight`` ``[batch]``."""
        pairs = paired_maps(NAME, self.maps, student, teacher)
        terms = hard_term(NAME, student.logits, target, self.hard_weight, weight)
        terms["attention"] = self.beta * torch.stack([attention_transfer_loss(*pair, weight) for pair in pairs]).sum()
        return terms
