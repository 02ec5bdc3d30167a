"""Hard labels and a teacher's tempered sigmoids: the distillation loss for multi-label sets.

The multi-label sibling of paper 000's equation 1, which is defined on softmaxes only: each class is a yes or no of
its own, so cross entropy becomes binary cross entropy and the divergence that of two Bernoulli laws, both averaged
over classes.  The soft term is binary cross entropy with the teacher's tempered sigmoids as target, less the
teacher's own entropy: the gradient is the same, and a student that copies its teacher costs 0.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hearless.interfaces import Needs, Prediction
from hearless.objectives._terms import check_logits, check_mix, check_target, require_teacher, weighted_mean

EXAMPLE: dict[str, Any] = {"alpha": 0.5, "temperature": 2.0}


def binary_distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    target: Tensor,
    alpha: float,
    temperature: float,
    weight: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return ``{"hard": alpha * BCE, "soft": (1 - alpha) * T**2 * KL(q_t || q_s)}``, ``q = sigmoid(logits / T)``.

    Args:
        student_logits: ``[batch, class]``.
        teacher_logits: ``[batch, class]``; no gradient flows into them.
        target: float ``[batch, class]`` in 0..1.
        alpha: share of the hard labels, 0..1.
        temperature: what divides both logits, above 0.
        weight: ``[batch]``, each clip's weight, or None.

    Raises:
        HearlessError: shapes, alpha or temperature break a rule.
    """
    check_mix("BinaryDistillation", alpha, temperature)
    check_target("BinaryDistillation", student_logits, target, weight)
    check_logits("BinaryDistillation", student_logits, teacher_logits)
    student, teacher = student_logits / temperature, teacher_logits.detach() / temperature
    hard = F.binary_cross_entropy_with_logits(student_logits, target.to(student_logits), reduction="none")
    tempered = torch.sigmoid(teacher)
    cross = F.binary_cross_entropy_with_logits(student, tempered, reduction="none")
    entropy = F.binary_cross_entropy_with_logits(teacher, tempered, reduction="none")
    return {
        "hard": alpha * weighted_mean(hard.mean(dim=-1), weight),
        "soft": (1.0 - alpha) * temperature**2 * weighted_mean((cross - entropy).mean(dim=-1), weight),
    }


class BinaryDistillation(nn.Module):
    """Distillation for multi-label sets; terms ``hard`` and ``soft``."""

    needs_teacher: bool = True
    needs: Needs = "logits"

    def __init__(self, *, alpha: float = 0.5, temperature: float = 4.0) -> None:
        super().__init__()
        check_mix("BinaryDistillation", alpha, temperature)
        self.alpha = alpha
        self.temperature = temperature

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Own nothing; refuse a missing teacher or one with other classes."""
        require_teacher("BinaryDistillation", student, teacher)

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return both terms; ``target`` ``[batch, class]``, ``weight`` ``[batch]``."""
        logits = require_teacher("BinaryDistillation", student, teacher)
        return binary_distillation_loss(student.logits, logits, target, self.alpha, self.temperature, weight)
