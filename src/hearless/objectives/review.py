"""Deep maps reviewed for shallow ones: Chen et al. 2021, "Distilling Knowledge via Knowledge Review", CVPR.

``L = h * CE + w * Σ HCL(f_s, m_t)``, over levels.  From the deepest pair of inner maps to the shallowest, the student's
map is fused with what the levels below it gave (attention-based fusion, ABF), so that each of the teacher's maps is
told from the student's of its own level and of all deeper ones.  ABF: a 1 × 1 convolution to ``width`` channels; the
deeper result at this map's size (nearest); of both side by side a 1 × 1 convolution and a sigmoid make two attention
maps, which weigh them; their sum goes on to the shallower level and, by a 3 × 3 convolution, to the teacher's channels.
HCL, hierarchical context loss: the mean squared difference of the maps as they are and averaged to 4 × 4, 2 × 2 and
1 × 1 places.  All convolutions are made in `bind` and trained with the student.

Each coarser context of HCL weighs half the one before, over the weights' sum, as in the authors' code.  w is 1, that
code's default and its weight on ImageNet (0.6 to 8 on CIFAR-100, mostly 5); it warms w up over 20 of 240 epochs, here
it stands from the first.  Differs: ``width`` is 64, where that code takes the deepest level's channels, at most 512; no
batch norm in ABF, so that a clip's loss does not hang on the others; the embedding is no level of its own; maps are
what leaves a stage, the activation included.  Maps of two sizes are averaged down to the smaller count of bands and of
frames, each axis stretched, not aligned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hearless.interfaces import HearlessError, Needs, Prediction
from hearless.objectives._features import at_one_size, check_bound, check_pairs, paired_maps, pooled
from hearless.objectives._terms import check_weights, hard_term, weighted_mean

EXAMPLE: dict[str, Any] = {"maps": "", "review_weight": 1.0, "hard_weight": 1.0, "width": 8}

NAME = "Review"
CONTEXTS = (4, 2, 1)


def hierarchical_context_loss(student: Tensor, teacher: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean squared differences of two maps at every context, averaged with the contexts' weights.

    A context that is no coarser than the one before on either axis is left out.

    Args:
        student: ``[batch, channel, band, frame]``.
        teacher: the same shape; no gradient flows into it.
        weight: ``[batch]``, each clip's weight, or None.

    Raises:
        HearlessError: the maps differ in shape.
    """
    if student.shape != teacher.shape:
        raise HearlessError(
            f"{NAME}: the maps of a level must have one shape, got {tuple(student.shape)} and {tuple(teacher.shape)}; "
            "bind it to this teacher."
        )
    apart = student - teacher.detach().to(student)  # means of a difference are differences of means
    bands, frames = student.shape[2:]
    sizes = dict.fromkeys([(bands, frames), *((min(n, bands), min(n, frames)) for n in CONTEXTS)])
    share = [0.5**i for i in range(len(sizes))]
    each = [s * pooled(apart, size).square().mean(dim=(1, 2, 3)) for s, size in zip(share, sizes, strict=True)]
    return weighted_mean(torch.stack(each).sum(0) / sum(share), weight)


class _Fusion(nn.Module):
    """One level's attention-based fusion: ``into`` channels of the student's, ``out`` of the teacher's."""

    def __init__(self, into: int, width: int, out: int, *, deepest: bool) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(into, width, 1)
        self.attend = None if deepest else nn.Conv2d(2 * width, 2, 1)
        self.expand = nn.Conv2d(width, out, 3, padding=1)

    def forward(self, shallow: Tensor, deep: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return what goes on to the shallower level, of ``width`` channels, and what is held against the teacher's."""
        fused: Tensor = self.reduce(shallow)
        if self.attend is not None and deep is not None:
            deep = F.interpolate(deep, fused.shape[2:], mode="nearest")
            ours, below = self.attend(torch.cat([fused, deep], dim=1)).sigmoid().split(1, dim=1)
            fused = ours * fused + below * deep
        return fused, self.expand(fused)


class Review(nn.Module):
    """Knowledge review on inner maps; terms ``hard`` and ``review``.

    Args:
        maps: which, from shallow to deep, comma-joined, each as ``"stage2"`` or ``"student's=teacher's"``; empty: as
            many as both have, paired from the last on.
        review_weight: weight of the review.
        hard_weight: weight of the hard labels; at 0 their term is left out, for use beside another objective.
        width: the channels that levels are fused in.
    """

    needs_teacher: bool = True
    needs: Needs = "maps"

    def __init__(
        self, *, maps: str = "", review_weight: float = 1.0, hard_weight: float = 1.0, width: int = 64
    ) -> None:
        super().__init__()
        check_pairs(NAME, maps)
        check_weights(NAME, review_weight=review_weight, hard_weight=hard_weight)
        if width < 1:
            raise HearlessError(f"{NAME}: width must be 1 or more, got {width}; 64 is usual.")
        self.maps, self.review_weight, self.hard_weight, self.width = maps, review_weight, hard_weight, width
        self.fusions, self.widths = nn.ModuleList(), list[int]()

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Make each level's fusion from the maps' channels; refuse a missing teacher, or maps that are not there."""
        pairs = paired_maps(NAME, self.maps, student, teacher)
        self.widths = [ours.shape[1] for ours, _ in pairs]
        self.fusions = nn.ModuleList(
            _Fusion(ours.shape[1], self.width, theirs.shape[1], deepest=level == len(pairs))
            for level, (ours, theirs) in enumerate(pairs, start=1)
        )

    def review(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return what the student's maps, from shallow to deep, tell of the teacher's, in the same order.

        Raises:
            HearlessError: nothing is bound yet, or to maps of other channels.
        """
        check_bound(NAME, self.widths, [one.shape[1] for one in maps])
        told, deeper = list[Tensor](), None
        for fuse, ours in zip(reversed(self.fusions), reversed(maps), strict=True):
            deeper, level = fuse(ours, deeper)
            told.append(level)
        return told[::-1]

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return both terms; ``target`` ``[batch, class]``, ``weight`` ``[batch]``."""
        pairs = paired_maps(NAME, self.maps, student, teacher)
        terms = hard_term(NAME, student.logits, target, self.hard_weight, weight)
        told = self.review([ours for ours, _ in pairs])
        levels = [at_one_size(level, theirs) for level, (_, theirs) in zip(told, pairs, strict=True)]
        losses = [hierarchical_context_loss(*level, weight) for level in levels]
        terms["review"] = self.review_weight * torch.stack(losses).sum()
        return terms
