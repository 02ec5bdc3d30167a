"""Distances and angles among a batch's embeddings: RKD (Park et al. 2019, "Relational Knowledge Distillation", CVPR).

``L = h * CE + d * distance + a * angle``.  Distance: Huber's loss (δ 1) of ``|e_i - e_j| / mean distance``, student
against teacher, over pairs.  Angle: Huber's loss of the cosine at j of every triplet i, j, k.  Neither asks for one
width: the embeddings of two networks, of other dimensions, meet in how clips lie to each other.

d (25) and a (50) are the authors' λ for image classification, where Hinton's divergence stands beside at T 4 (16 × KL,
left out here); for metric learning 1 and 2, without labels.  The paper sums over pairs and triplets; here, as in the
authors' code, they are averaged, so that the weights do not hang on the batch.  That code counts pairs of a clip with
itself too, and scales embeddings to length 1 first.  A pair weighs the
product of its clips' weights, a triplet the product of three, in the mean distance too.  Two clips at one point, up to
rounding, have no direction: their angles count as right ones, without a gradient.  Memory grows with batch² × (batch +
dimension).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hearless.interfaces import Needs, Prediction
from hearless.objectives._features import check_embeddings, require_embedding
from hearless.objectives._terms import ROUNDING, check_weights, hard_term, shares

EXAMPLE: dict[str, Any] = {"distance_weight": 25.0, "angle_weight": 50.0, "hard_weight": 1.0}

NAME = "RelationalDistillation"


def distances_and_cosines(embedding: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Return distances over their mean, and cosines at the first index's clip.

    Args:
        embedding: ``[batch, dimension]``.
        pairs: ``[batch, batch]``, each pair's weight in the mean; the diagonal is 0.

    Returns:
        ``[batch, batch]`` and ``[batch, batch, batch]``; row j of the latter holds the cosines between the
        directions from clip j to clips i and k.
    """
    towards = embedding[None] - embedding[:, None]
    square = towards.square().sum(-1)
    length = embedding.detach().square().sum(-1)
    rounding = (ROUNDING * torch.finfo(embedding.dtype).eps) ** 2
    apart = square > rounding * torch.maximum(length[:, None], length)
    distance = torch.where(apart, torch.where(apart, square, 1.0).sqrt(), 0.0)
    mean = (pairs * distance).sum() / pairs.sum().clamp_min(torch.finfo(pairs.dtype).tiny)
    direction = torch.where(apart[..., None], towards / torch.where(apart, distance, 1.0)[..., None], 0.0)
    return distance / torch.where(mean > 0, mean, 1.0), direction @ direction.mT


def relational_distillation_loss(student: Tensor, teacher: Tensor, weight: Tensor | None = None) -> dict[str, Tensor]:
    """Return the mean losses ``{"distance": …, "angle": …}``, without weights of their own.

    Args:
        student: ``[batch, dimension]``.
        teacher: ``[batch, dimension]``, of any dimension; no gradient flows into it.
        weight: ``[batch]``, each clip's weight, or None.

    Raises:
        HearlessError: the embeddings are not two rows of numbers for each clip.
    """
    check_embeddings(NAME, student, teacher)
    share = shares(student[:, 0].detach(), weight)
    other = 1.0 - torch.eye(len(share), dtype=share.dtype, device=share.device)
    pairs = share[:, None] * share * other
    triplets = pairs[:, :, None] * (other[:, None, :] * other * share)
    ours = distances_and_cosines(student, pairs)
    theirs = distances_and_cosines(teacher.detach().to(student), pairs)
    return {
        name: _mean(F.huber_loss(mine, taught, reduction="none"), counts)
        for name, mine, taught, counts in zip(("distance", "angle"), ours, theirs, (pairs, triplets), strict=True)
    }


def _mean(losses: Tensor, weight: Tensor) -> Tensor:
    return (losses * weight).sum() / weight.sum().clamp_min(torch.finfo(losses.dtype).tiny)


class RelationalDistillation(nn.Module):
    """RKD on embeddings; terms ``hard``, ``distance`` and ``angle``.

    Args:
        distance_weight: weight of the distances.
        angle_weight: weight of the angles.
        hard_weight: weight of the hard labels; at 0 their term is left out, for use beside another objective.
    """

    needs_teacher: bool = True
    needs: Needs = "embedding"

    def __init__(self, *, distance_weight: float = 25.0, angle_weight: float = 50.0, hard_weight: float = 1.0) -> None:
        super().__init__()
        check_weights(NAME, distance_weight=distance_weight, angle_weight=angle_weight, hard_weight=hard_weight)
        self.weights = {"distance": distance_weight, "angle": angle_weight}
        self.hard_weight = hard_weight

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Own nothing; refuse a missing teacher; its classes and dimension may be other."""
        require_embedding(NAME, student, teacher)

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return the three terms; ``target`` ``[batch, class]``, ``weight`` ``[batch]``."""
        embedding = require_embedding(NAME, student, teacher)
        terms = hard_term(NAME, student.logits, target, self.hard_weight, weight)
        found = relational_distillation_loss(student.embedding, embedding, weight)
        return terms | {name: self.weights[name] * term for name, term in found.items()}
