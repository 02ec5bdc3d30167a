"""Correlation in place of divergence: DIST (Huang et al. 2022, "Knowledge Distillation from A Stronger Teacher").

``L = alpha * CE + beta * inter + gamma * intra`` on ``softmax(logits / T)``.  Inter: 1 less Pearson's correlation of
student and teacher over the classes of a clip, averaged over clips.  Intra: the same over the clips of the batch,
averaged over classes.  A student need not be as sure as its teacher, only linear in it.

alpha (1), beta (2), gamma (2) and T (1) are the paper's for ImageNet; CIFAR-100 takes T 4.  There is no T²: correlation
does not shrink with its arguments, so neither does the gradient of a hot softmax (later versions of the public code
multiply by it, which is the same at T 1).  That code has beta and gamma 1 under one overall weight.

Differs: clips weigh, in the mean of inter and inside the correlations of intra.  A teacher's row or column that is
constant up to rounding holds no relation and costs 0 (so does intra in a batch of one); a student's constant one costs
1 and has no gradient.
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
    shares,
    standardise,
    weighted_mean,
)

EXAMPLE: dict[str, Any] = {"alpha": 1.0, "beta": 2.0, "gamma": 2.0, "temperature": 1.0}

NAME = "DIST"


def correlation_distance(student: Tensor, teacher: Tensor, share: Tensor, dim: int) -> Tensor:
    """Return 1 less Pearson's weighted correlation along ``dim``, 0 where the teacher does not vary.

    Args:
        student: any shape.
        teacher: the same shape.
        share: broadcasts to them; sums to 1 along ``dim``, or is 0.
        dim: the dimension along which to correlate; it goes.
    """
    student, teacher = standardise(student, share, dim), standardise(teacher, share, dim)
    return (share * teacher * (teacher - student)).sum(dim)


def dist_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    target: Tensor,
    alpha: float,
    beta: float,
    gamma: float,
    temperature: float,
    weight: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return ``{"hard": alpha * CE, "inter": beta * inter, "intra": gamma * intra}``; their sum is the loss.

    Args:
        student_logits: ``[batch, class]``.
        teacher_logits: ``[batch, class]``; no gradient flows into them.
        target: float ``[batch, class]``, rows summing to 1.
        alpha: weight of the hard labels, 0 or more; at 0 their term is left out.
        beta: weight of the relation between classes, 0 or more.
        gamma: weight of the relation between clips, 0 or more.
        temperature: what divides both logits, above 0.
        weight: ``[batch]``, each clip's weight, or None.

    Raises:
        HearlessError: shapes or an argument break a rule.
    """
    check_mix(NAME, 1.0, temperature)
    check_weights(NAME, alpha=alpha, beta=beta, gamma=gamma)
    terms = hard_term(NAME, student_logits, target, alpha, weight)
    check_logits(NAME, student_logits, teacher_logits)
    student = (student_logits / temperature).softmax(dim=-1)
    teacher = (teacher_logits.detach().to(student_logits) / temperature).softmax(dim=-1)
    of_class = torch.full_like(student[0], 1.0 / student.shape[-1])
    of_clip = shares(student[:, 0].detach(), weight)[:, None]
    terms["inter"] = beta * weighted_mean(correlation_distance(student, teacher, of_class, -1), weight)
    terms["intra"] = gamma * correlation_distance(student, teacher, of_clip, 0).mean()
    return terms


class DIST(nn.Module):
    """DIST, for single-label sets; terms ``hard``, ``inter`` and ``intra``."""

    needs_teacher: bool = True
    needs: Needs = "logits"

    def __init__(self, *, alpha: float = 1.0, beta: float = 2.0, gamma: float = 2.0, temperature: float = 1.0) -> None:
        super().__init__()
        check_mix(NAME, 1.0, temperature)
        check_weights(NAME, alpha=alpha, beta=beta, gamma=gamma)
        self.alpha, self.beta, self.gamma, self.temperature = alpha, beta, gamma, temperature

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Own nothing; refuse a missing teacher or one with other classes."""
        require_teacher(NAME, student, teacher)

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return the three terms; ``target`` ``[batch, class]``, ``weight`` ``[batch]``."""
        logits = require_teacher(NAME, student, teacher)
        return dist_loss(
            student.logits, logits, target, self.alpha, self.beta, self.gamma, self.temperature, weight
        )  # fmt: skip
