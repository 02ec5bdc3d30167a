"""Clips alike to the teacher, alike to the student: SP (Tung & Mori 2019, "Similarity-Preserving …", ICCV).

``L = h * CE + gamma / b**2 * |G_t - G_s|²`` (Frobenius), ``G = Q Qᵀ`` of the embeddings ``Q``, each row over its
length.  gamma (3000) is the paper's.  The paper compares the last inner maps, flattened; here it is the embeddings, of
any two dimensions: what pooling leaves of those maps.

Differs: clips weigh.  With shares p_i that sum to 1, rows are divided by ``sqrt(sum_j p_j G_ij²)``, squares weigh
``p_i p_j``, and ``sum_i p_i²`` stands for 1 / b: the paper's loss where all weigh the same, and that of the others
where one weighs 0.  A clip whose embedding is 0 has a row of zeros.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hearless.interfaces import Needs, Prediction
from hearless.objectives._features import check_embeddings, require_embedding
from hearless.objectives._terms import check_weights, hard_term, shares

EXAMPLE: dict[str, Any] = {"gamma": 3000.0, "hard_weight": 1.0}

NAME = "SimilarityPreserving"


def similarities(embedding: Tensor, share: Tensor) -> Tensor:
    """Return ``G = Q Qᵀ``, each row over its weighted root mean square; ``[batch, batch]``.

    Args:
        embedding: ``[batch, dimension]``.
        share: ``[batch]``, each clip's share in the batch.
    """
    heard = embedding * (share > 0)[:, None]
    largest = heard.detach().abs().amax()
    scaled = heard / torch.where(largest > 0, largest, 1.0)
    gram = scaled @ scaled.mT
    square = (share * gram.square()).sum(-1, keepdim=True)
    silent = square == 0
    return torch.where(silent, 0.0, gram / torch.where(silent, 1.0, square).sqrt())


def similarity_preserving_loss(student: Tensor, teacher: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return ``|G_t - G_s|² / b²``, a scalar.

    Args:
        student: ``[batch, dimension]``.
        teacher: ``[batch, dimension]``, of any dimension; no gradient flows into it.
        weight: ``[batch]``, each clip's weight, or None.

    Raises:
        HearlessError: the embeddings are not two rows of numbers for each clip.
    """
    check_embeddings(NAME, student, teacher)
    share = shares(student[:, 0].detach(), weight)
    apart = similarities(student, share) - similarities(teacher.detach().to(student), share)
    return share.square().sum() * (share[:, None] * share * apart.square()).sum()


class SimilarityPreserving(nn.Module):
    """Similarity-preserving distillation on embeddings; terms ``hard`` and ``similarity``.

    Args:
        gamma: weight of the similarities.
        hard_weight: weight of the hard labels; at 0 their term is left out, for use beside another objective.
    """

    needs_teacher: bool = True
    needs: Needs = "embedding"

    def __init__(self, *, gamma: float = 3000.0, hard_weight: float = 1.0) -> None:
        super().__init__()
        check_weights(NAME, gamma=gamma, hard_weight=hard_weight)
        self.gamma, self.hard_weight = gamma, hard_weight

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Own nothing; refuse a missing teacher; its classes and dimension may be other."""
        require_embedding(NAME, student, teacher)

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return both terms; ``target`` ``[batch, class]``, ``weight`` ``[batch]``."""
        embedding = require_embedding(NAME, student, teacher)
        terms = hard_term(NAME, student.logits, target, self.hard_weight, weight)
        terms["similarity"] = self.gamma * similarity_preserving_loss(student.embedding, embedding, weight)
        return terms
