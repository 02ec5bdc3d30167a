"""Target and non-target knowledge, weighed apart: DKD (Zhao et al. 2022, "Decoupled Knowledge Distillation", CVPR).

``L = h * CE + T**2 * (alpha * TCKD + beta * NCKD)``.  TCKD is the divergence of two laws on {the target class, any
other}; NCKD that of the softmaxes over the other classes alone.  Hinton's divergence is ``TCKD + (1 - p_t) * NCKD``,
p_t the teacher's probability of the target: the surer the teacher, the less its view of the other classes counts.  DKD
puts the constant beta in that place.

alpha (1), beta (8) and T (4) are the paper's for CIFAR-100 with teachers far above the student; ImageNet: beta 0.5, T 1
(so the authors' code).  Differs: no warm-up of the soft terms' weight over the first 20 of 240 epochs.  The target of a
mixed clip is its largest share.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hearless.interfaces import Needs, Prediction
from hearless.objectives._terms import (
    check_classes,
    check_logits,
    check_mix,
    check_weights,
    hard_term,
    require_teacher,
    weighted_mean,
)

EXAMPLE: dict[str, Any] = {"alpha": 1.0, "beta": 8.0, "temperature": 4.0}

NAME = "DecoupledDistillation"


def decoupled_divergences(
    student_logits: Tensor, teacher_logits: Tensor, classes: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Return TCKD and NCKD of each clip, both ``[batch]``, without the factor T².

    Args:
        student_logits: ``[batch, class]``, two classes or more.
        teacher_logits: ``[batch, class]``.
        classes: long ``[batch]``, each clip's target class.
        temperature: what divides both logits.
    """
    others = torch.arange(student_logits.shape[-1] - 1, device=classes.device)
    others = others + (others >= classes[:, None])
    student, teacher = (F.log_softmax(logits / temperature, dim=-1) for logits in (student_logits, teacher_logits))
    rest_student, rest_teacher = student.gather(-1, others), teacher.gather(-1, others)
    tckd = _divergence(_target_or_not(student, rest_student, classes), _target_or_not(teacher, rest_teacher, classes))
    return tckd, _divergence(rest_student.log_softmax(-1), rest_teacher.log_softmax(-1))


def _target_or_not(log_p: Tensor, rest: Tensor, classes: Tensor) -> Tensor:
    return torch.cat([log_p.gather(-1, classes[:, None]), rest.logsumexp(-1, keepdim=True)], dim=-1)


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    return F.kl_div(student, teacher, reduction="none", log_target=True).sum(dim=-1)


def decoupled_distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    target: Tensor,
    alpha: float,
    beta: float,
    temperature: float,
    weight: Tensor | None = None,
    *,
    hard_weight: float = 1.0,
) -> dict[str, Tensor]:
    """Return ``hard_weight * CE``, ``alpha * T**2 * TCKD``, ``beta * T**2 * NCKD`` as hard, target, non_target.

    Args:
        student_logits: ``[batch, class]``.
        teacher_logits: ``[batch, class]``; no gradient flows into them.
        target: float ``[batch, class]``, rows summing to 1.
        alpha: weight of the target class's term, 0 or more.
        beta: weight of the other classes' term, 0 or more.
        temperature: what divides both logits, above 0.
        weight: ``[batch]``, each clip's weight, or None.
        hard_weight: weight of the hard labels; at 0 their term is left out.

    Raises:
        HearlessError: shapes or an argument break a rule, or there is one class only.
    """
    check_mix(NAME, 1.0, temperature)
    check_weights(NAME, alpha=alpha, beta=beta, hard_weight=hard_weight)
    terms = hard_term(NAME, student_logits, target, hard_weight, weight)
    check_logits(NAME, student_logits, teacher_logits)
    check_classes(NAME, student_logits)
    teacher = teacher_logits.detach().to(student_logits)
    tckd, nckd = decoupled_divergences(student_logits, teacher, target.argmax(dim=-1), temperature)
    terms["target"] = alpha * temperature**2 * weighted_mean(tckd, weight)
    terms["non_target"] = beta * temperature**2 * weighted_mean(nckd, weight)
    return terms


class DecoupledDistillation(nn.Module):
    """DKD, for single-label sets; terms ``hard``, ``target`` and ``non_target``."""

    needs_teacher: bool = True
    needs: Needs = "logits"

    def __init__(
        self, *, alpha: float = 1.0, beta: float = 8.0, temperature: float = 4.0, hard_weight: float = 1.0
    ) -> None:
        super().__init__()
        check_mix(NAME, 1.0, temperature)
        check_weights(NAME, alpha=alpha, beta=beta, hard_weight=hard_weight)
        self.alpha, self.beta, self.temperature, self.hard_weight = alpha, beta, temperature, hard_weight

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Own nothing; refuse a missing teacher or one with other classes."""
        require_teacher(NAME, student, teacher)

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return the three terms; ``target`` ``[batch, class]``, ``weight`` ``[batch]``."""
        logits = require_teacher(NAME, student, teacher)
        return decoupled_distillation_loss(
            student.logits, logits, target, self.alpha, self.beta, self.temperature, weight,
            hard_weight=self.hard_weight,
        )  # fmt: skip
