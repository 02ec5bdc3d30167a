"""The teacher's embedding told from the student's: VID (Ahn et al. 2019, "Variational Information …", CVPR).

``L = h * CE + w * -log q(t | s)``, q a Gaussian whose mean is a linear map of the student's embedding and whose
variance, one for each of the teacher's dimensions, is learned: a dimension that the student cannot tell gets a large
variance and weighs little.  The teacher's entropy plus the mean of log q is at most the two's mutual information.
The variance is ``softplus(a) + ε``, as in the paper; map and variance are made in `bind` and trained with the student.

The paper transfers several inner layers, through three 1 × 1 convolutions each, and sums over their units; here it is
the embeddings, through one linear map, and the mean over dimensions (as in the authors' code), so that the weight (1)
does not hang on the teacher's width.  The constant ``log(2π) / 2`` is left out.  The paper names no first variance; the
authors' code has 5, so here.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hearless.interfaces import HearlessError, Needs, Prediction
from hearless.objectives._features import require_embedding
from hearless.objectives._terms import check_weights, hard_term, weighted_mean

EXAMPLE: dict[str, Any] = {"information_weight": 1.0, "hard_weight": 1.0, "initial_variance": 1.0}

NAME = "VariationalInformation"
MIN_VARIANCE = 1e-5
"""The paper's ε: a dimension that is told exactly does not run away."""


def variational_information_loss(
    mean: Tensor, variance: Tensor, teacher: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Return the Gaussian's ``ln σ + (t - μ)² / (2 σ²)``, averaged over dimensions and clips.

    Args:
        mean: ``[batch, dimension]``, what the student tells of the teacher's embedding.
        variance: ``[dimension]``, above 0.
        teacher: ``[batch, dimension]``; no gradient flows into it.
        weight: ``[batch]``, each clip's weight, or None.

    Raises:
        HearlessError: mean, variance and teacher do not fit each other.
    """
    if mean.shape != teacher.shape or variance.shape != mean.shape[1:]:
        raise HearlessError(
            f"{NAME}: the mean must be shaped like the teacher's embedding, with a variance for each dimension, got "
            f"{tuple(mean.shape)}, {tuple(teacher.shape)} and {tuple(variance.shape)}; bind it to this teacher."
        )
    square = (teacher.detach().to(mean) - mean).square()
    return weighted_mean(0.5 * (variance.log() + square / variance).mean(dim=-1), weight)


class VariationalInformation(nn.Module):
    """VID on embeddings; terms ``hard`` and ``information``.

    Args:
        information_weight: weight of the Gaussian's negative log likelihood (the paper's λ).
        hard_weight: weight of the hard labels; at 0 their term is left out, for use beside another objective.
        initial_variance: every dimension's variance at first, above 1e-5 (the authors' code: 5).
    """

    needs_teacher: bool = True
    needs: Needs = "embedding"

    def __init__(
        self, *, information_weight: float = 1.0, hard_weight: float = 1.0, initial_variance: float = 5.0
    ) -> None:
        super().__init__()
        check_weights(NAME, information_weight=information_weight, hard_weight=hard_weight)
        if not MIN_VARIANCE < initial_variance < math.inf:
            raise HearlessError(
                f"{NAME}: initial_variance must be above {MIN_VARIANCE} and finite, got {initial_variance}; 5 is usual."
            )
        self.information_weight, self.hard_weight = information_weight, hard_weight
        self.initial_variance = initial_variance
        self.regressor: nn.Linear | None = None
        self.raw_variance: nn.Parameter | None = None

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Make the linear map and the variances from the two dimensions; refuse a missing teacher."""
        dimension = require_embedding(NAME, student, teacher).shape[-1]
        self.regressor = nn.Linear(student.embedding.shape[-1], dimension)
        # softplus undone, for large values too
        above = self.initial_variance - MIN_VARIANCE
        self.raw_variance = nn.Parameter(torch.full((dimension,), above + math.log(-math.expm1(-above))))

    def tell(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Return the Gaussian's mean ``[batch, dimension]`` and variance ``[dimension]`` from the student's embedding.

        Raises:
            HearlessError: nothing is bound yet.
        """
        if self.regressor is None or self.raw_variance is None:
            raise HearlessError(f"{NAME} must be bound before it is called; call bind with one example of each.")
        mean: Tensor = self.regressor(embedding)
        return mean, F.softplus(self.raw_variance) + MIN_VARIANCE

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return both terms; ``target`` ``[batch, class]``, ``weight`` ``[batch]``."""
        embedding = require_embedding(NAME, student, teacher)
        mean, variance = self.tell(student.embedding)
        terms = hard_term(NAME, student.logits, target, self.hard_weight, weight)
        terms["information"] = self.information_weight * variational_information_loss(mean, variance, embedding, weight)
        return terms
