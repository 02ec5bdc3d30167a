"""The teacher's inner maps told from the student's: hints (Romero et al. 2015, "FitNets", ICLR).

``L = h * CE + w * Σ mean (r(m_s) - m_t)²``, over pairs of inner maps; r, a 1 × 1 convolution made in `bind` and trained
with the student, brings the student's channels to the teacher's.  Maps of two sizes are averaged down to the smaller
count of bands and of frames, each axis stretched, not aligned.

Differs.  The paper trains in two stages: first, on the hint alone, the student up to the hinted map, then all of it on
labels and tempered logits.  Here hint and hard labels are minimised together; a recipe of two stages, this objective
with ``hard_weight=0`` and then `SelfDistillation`, is the paper's order.  The paper hints one layer, the middle one;
here any number, their losses summed.  Its regressor is a convolution as large as the maps' sizes differ; pooling does
that here.  Its loss is half the sum of squares; here their mean over channels and places, so that the weight does not
hang on the map's size: 100, that of the public comparisons (RepDistiller, mdistiller), which also train the hint of one
middle layer and the labels together, through a regressor with batch norm and ReLU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hearless.interfaces import HearlessError, Needs, Prediction
from hearless.objectives._features import at_one_size, check_bound, check_pairs, paired_maps
from hearless.objectives._terms import check_weights, hard_term, weighted_mean

EXAMPLE: dict[str, Any] = {"maps": "", "hint_weight": 1.0, "hard_weight": 1.0}

NAME = "Hints"


def hint_loss(student: Tensor, teacher: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean squared difference of a regressed map and the teacher's, of one pair.

    Args:
        student: ``[batch, channel, band, frame]``, the teacher's channels told from the student's.
        teacher: the same, of any numbers of bands and frames; no gradient flows into it.
        weight: ``[batch]``, each clip's weight, or None.

    Raises:
        HearlessError: the maps are of other clips or channels.
    """
    if student.shape[:2] != teacher.shape[:2]:
        raise HearlessError(
            f"{NAME}: a regressed map must have the teacher's clips and channels, got {tuple(student.shape)} and "
            f"{tuple(teacher.shape)}; bind it to this teacher."
        )
    ours, theirs = at_one_size(student, teacher.detach().to(student))
    return weighted_mean((ours - theirs).square().mean(dim=(1, 2, 3)), weight)


class Hints(nn.Module):
    """Hints on inner maps; terms ``hard`` and ``hint``.

    Args:
        maps: which, comma-joined, each as ``"stage2"`` or ``"student's=teacher's"``; empty: as many as both have,
            paired from the last on.
        hint_weight: weight of the hints.
        hard_weight: weight of the hard labels; at 0 their term is left out, for use beside another objective.
    """

    needs_teacher: bool = True
    needs: Needs = "maps"

    def __init__(self, *, maps: str = "", hint_weight: float = 100.0, hard_weight: float = 1.0) -> None:
        super().__init__()
        check_pairs(NAME, maps)
        check_weights(NAME, hint_weight=hint_weight, hard_weight=hard_weight)
        self.maps, self.hint_weight, self.hard_weight = maps, hint_weight, hard_weight
        self.regressors, self.widths = nn.ModuleList(), list[int]()

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Make the regressors from the maps' channels; refuse a missing teacher, or maps that are not there."""
        pairs = paired_maps(NAME, self.maps, student, teacher)
        self.widths = [ours.shape[1] for ours, _ in pairs]
        self.regressors = nn.ModuleList(nn.Conv2d(ours.shape[1], theirs.shape[1], 1) for ours, theirs in pairs)

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return both terms; ``target`` ``[batch, class]``, ``weight`` ``[batch]``."""
        pairs = paired_maps(NAME, self.maps, student, teacher)
        check_bound(NAME, self.widths, [ours.shape[1] for ours, _ in pairs])
        terms = hard_term(NAME, student.logits, target, self.hard_weight, weight)
        each = zip(self.regressors, pairs, strict=True)
        losses = [hint_loss(regress(ours), theirs, weight) for regress, (ours, theirs) in each]
        terms["hint"] = self.hint_weight * torch.stack(losses).sum()
        return terms
