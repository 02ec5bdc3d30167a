"""Which clip the other heard: CRD (Tian et al. 2020, "Contrastive Representation Distillation", ICLR), in the batch.

``L = h * CE + w * (InfoNCE(s → t) + InfoNCE(t → s)) / 2`` on embeddings: of all clips in the batch, each network's
embedding must tell which one the other's is of.  Two linear maps made in `bind` and trained with the student bring both
to one dimension, where vectors of length 1 are compared by their dot product over the temperature.  The log of the
batch size, less the loss, is at most the two embeddings' mutual information.

Differs: the paper contrasts each clip with 16,384 others of another class, kept in a memory of both networks'
embeddings, by a binary loss (NCE); here, without memory, with the others in the batch, by a softmax over them, so that
the bound cannot exceed the batch size's logarithm.  Any other clip counts as another, of whatever class.  Clips weigh:
in the mean, and as contrasts, ``p_j / Σ p²`` with shares p that sum to 1, which is 1 where all weigh the same.
Temperature 0.07, weight 0.8 and 128 dimensions are the authors' code's, whose weight stands before the sum of both
directions, here before their mean.  Large batches serve it; a batch of one costs 0.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hearless.interfaces import HearlessError, Needs, Prediction
from hearless.objectives._features import check_bound, check_embeddings, require_embedding
from hearless.objectives._terms import check_mix, check_weights, hard_term, shares, weighted_mean

EXAMPLE: dict[str, Any] = {"temperature": 0.07, "contrast_weight": 1.0, "hard_weight": 1.0, "dimension": 16}

NAME = "ContrastiveRepresentation"


def contrastive_loss(first: Tensor, second: Tensor, temperature: float, weight: Tensor | None = None) -> Tensor:
    """Return the mean of both directions' cross entropy of telling a clip from the batch's others.

    Args:
        first: ``[batch, dimension]``; only its rows' directions count.
        second: ``[batch, dimension]``, of the same dimension.
        temperature: what divides the cosines, above 0.
        weight: ``[batch]``, each clip's weight, or None.

    Raises:
        HearlessError: the embeddings are not of one batch and dimension, or the temperature is not above 0.
    """
    check_mix(NAME, 1.0, temperature)
    check_embeddings(NAME, first, second)
    if first.shape != second.shape:
        raise HearlessError(
            f"{NAME}: projections must have one dimension, got {first.shape[1]} and {second.shape[1]}; bind it first."
        )
    cosines = F.normalize(first, dim=-1) @ F.normalize(second, dim=-1).mT
    counts = _counts(shares(first[:, 0].detach(), weight)).log()
    there, back = (_surprise(each / temperature + counts) for each in (cosines, cosines.mT))
    return weighted_mean((there + back) / 2, weight)


def _counts(share: Tensor) -> Tensor:
    """Return how often each clip (column) counts as a contrast to each other (row): itself once."""
    others = share / share.square().sum().clamp_min(torch.finfo(share.dtype).tiny)
    own = torch.eye(len(share), dtype=torch.bool, device=share.device)
    return torch.where(own, 1.0, others)


def _surprise(scores: Tensor) -> Tensor:
    return scores.logsumexp(-1) - scores.diagonal()


class ContrastiveRepresentation(nn.Module):
    """CRD within the batch, on embeddings; terms ``hard`` and ``contrast``.

    Args:
        temperature: what divides the cosines.
        contrast_weight: weight of the contrast.
        hard_weight: weight of the hard labels; at 0 their term is left out, for use beside another objective.
        dimension: of the vectors that are compared.
    """

    needs_teacher: bool = True
    needs: Needs = "embedding"

    def __init__(
        self,
        *,
        temperature: float = 0.07,
        contrast_weight: float = 0.8,
        hard_weight: float = 1.0,
        dimension: int = 128,
    ) -> None:
        super().__init__()
        check_mix(NAME, 1.0, temperature)
        check_weights(NAME, contrast_weight=contrast_weight, hard_weight=hard_weight)
        if dimension < 1:
            raise HearlessError(f"{NAME}: dimension must be 1 or more, got {dimension}; 128 is usual.")
        self.temperature, self.contrast_weight, self.hard_weight = temperature, contrast_weight, hard_weight
        self.dimension = dimension
        self.projections, self.widths = nn.ModuleList(), list[int]()

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Make both linear maps from the embeddings' dimensions; refuse a missing teacher."""
        both = student.embedding, require_embedding(NAME, student, teacher)
        self.widths = [one.shape[-1] for one in both]
        self.projections = nn.ModuleList(nn.Linear(width, self.dimension) for width in self.widths)

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return both terms; ``target`` ``[batch, class]``, ``weight`` ``[batch]``."""
        both = student.embedding, require_embedding(NAME, student, teacher).to(student.embedding)
        check_bound(NAME, self.widths, [one.shape[-1] for one in both])
        terms = hard_term(NAME, student.logits, target, self.hard_weight, weight)
        ours, theirs = (project(one) for project, one in zip(self.projections, both, strict=True))
        terms["contrast"] = self.contrast_weight * contrastive_loss(ours, theirs, self.temperature, weight)
        return terms
