"""Distillation of standardised logits (Sun et al. 2024, "Logit Standardization in Knowledge Distillation", CVPR).

``L = h * CE + s * T**2 * KL(softmax(Z(z_t) / T) || softmax(Z(z_s) / T))``, ``Z(z) = (z - mean z) / deviation z`` over
each clip's classes (the deviation of the population).  So the temperature becomes each clip's and each model's own:
T, the paper's base temperature, times its deviation; the student copies the order and spacing of its teacher's
logits, not their range.

h (0.1), s (9) and T (2) are the paper's λ_CE, λ_KD and τ for CIFAR-100.  Differs: the authors' code divides by the
sample's deviation (K - 1) plus 1e-7; here by the population's, as the paper writes it, and nothing is added; a row that
is constant up to rounding standardises to zeros, without a gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hearless.interfaces import Needs, Prediction
from hearless.objectives._terms import (
    check_logits,
    check_mix,
    check_weights,
    hard_term,
    require_teacher,
    standardise,
)
from hearless.objectives.self_distillation import self_distillation_loss

EXAMPLE: dict[str, Any] = {"temperature": 2.0, "soft_weight": 9.0, "hard_weight": 0.1}

NAME = "StandardisedDistillation"


def standardised_distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    target: Tensor,
    temperature: float,
    weight: Tensor | None = None,
    *,
    soft_weight: float = 9.0,
    hard_weight: float = 0.1,
) -> dict[str, Tensor]:
    """Return ``{"hard": hard_weight * CE, "soft": soft_weight * T**2 * KL}``; their sum is the loss.

    Args:
        student_logits: ``[batch, class]``.
        teacher_logits: ``[batch, class]``; no gradient flows into them.
        target: float ``[batch, class]``, rows summing to 1.
        temperature: what divides both standardised logits, above 0.
        weight: ``[batch]``, each clip's weight, or None.
        soft_weight: weight of the divergence.
        hard_weight: weight of the hard labels; at 0 their term is left out.

    Raises:
        HearlessError: shapes or an argument break a rule.
    """
    check_mix(NAME, 1.0, temperature)
    check_weights(NAME, soft_weight=soft_weight, hard_weight=hard_weight)
    terms = hard_term(NAME, student_logits, target, hard_weight, weight)
    check_logits(NAME, student_logits, teacher_logits)
    share = torch.full_like(student_logits[0], 1.0 / student_logits.shape[-1])
    student, teacher = (standardise(z.to(share), share, -1) for z in (student_logits, teacher_logits))
    terms["soft"] = soft_weight * self_distillation_loss(student, teacher, target, 0.0, temperature, weight)["soft"]
    return terms


class StandardisedDistillation(nn.Module):
    """Distillation of standardised logits, for single-label sets; terms ``hard`` and ``soft``."""

    needs_teacher: bool = True
    needs: Needs = "logits"

    def __init__(self, *, temperature: float = 2.0, soft_weight: float = 9.0, hard_weight: float = 0.1) -> None:
        super().__init__()
        check_mix(NAME, 1.0, temperature)
        check_weights(NAME, soft_weight=soft_weight, hard_weight=hard_weight)
        self.temperature, self.soft_weight, self.hard_weight = temperature, soft_weight, hard_weight

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Own nothing; refuse a missing teacher or one with other classes."""
        require_teacher(NAME, student, teacher)

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return both terms; ``target`` ``[batch, class]``, ``weight`` ``[batch]``."""
        logits = require_teacher(NAME, student, teacher)
        return standardised_distillation_loss(
            student.logits, logits, target, self.temperature, weight,
            soft_weight=self.soft_weight, hard_weight=self.hard_weight,
        )  # fmt: skip
