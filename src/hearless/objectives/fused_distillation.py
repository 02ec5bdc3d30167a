"""Hard labels and several teachers' fused logits: the loss of paper 004, equation 5.

``L = λ CE(y_s, y) + (1 - λ) T**2 CE(q_s, q_t)``, ``q = softmax(logits / T)``; both terms are cross entropies, as the
paper says, so that a student that copies its teacher still costs the teacher's entropy (the gradients are those of
`SelfDistillation`).  Several labels a clip take binary cross entropies, averaged over classes.

The paper's λ is "updated during training", by no printed rule.  Three readings: ``"fixed"``; ``"scheduled"``, from
``weight`` to ``last_weight`` along half a cosine over the stage; ``"learned"``, the sigmoid of a parameter that starts
at ``weight``.  A learned λ minimises the loss like everything else and so drifts to the cheaper of the two terms.
λ 0.02 and T 2 are those of the lineage (CP-JKU DCASE23).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hearless.interfaces import HearlessError, Needs, Prediction
from hearless.objectives._terms import check_logits, check_mix, check_target, require_teacher, weighted_mean

EXAMPLE: dict[str, Any] = {"weight": 0.3, "rule": "learned"}

NAME = "FusedDistillation"
RULES = ("fixed", "scheduled", "learned")


def fused_distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    target: Tensor,
    weight_of_labels: Tensor | float,
    temperature: float,
    weight: Tensor | None = None,
    *,
    multi_label: bool = False,
) -> dict[str, Tensor]:
    """Return ``{"hard": λ CE, "soft": (1 - λ) T**2 CE(q_s, q_t)}``.

    Args:
        student_logits: ``[batch, class]``.
        teacher_logits: ``[batch, class]``; no gradient flows into them.
        target: float ``[batch, class]``; rows sum to 1 unless ``multi_label``.
        weight_of_labels: λ, 0..1; a tensor if it learns.
        temperature: what divides both logits, above 0.
        weight: ``[batch]``, each clip's weight, or None.
        multi_label: sigmoids instead of softmaxes.

    Raises:
        HearlessError: shapes, λ or temperature break a rule.
    """
    check_mix(NAME, float(torch.as_tensor(weight_of_labels).detach()), temperature)
    check_target(NAME, student_logits, target, weight)
    check_logits(NAME, student_logits, teacher_logits)
    student, teacher = student_logits / temperature, teacher_logits.detach().to(student_logits) / temperature
    hard, soft = (_binary if multi_label else _single)(student_logits, target, student, teacher)
    return {
        "hard": weight_of_labels * weighted_mean(hard, weight),
        "soft": (1.0 - weight_of_labels) * temperature**2 * weighted_mean(soft, weight),
    }


def _single(logits: Tensor, target: Tensor, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Return both cross entropies of softmaxes, one a clip."""
    hard = F.cross_entropy(logits, target, reduction="none")
    return hard, F.cross_entropy(student, F.softmax(teacher, dim=-1), reduction="none")


def _binary(logits: Tensor, target: Tensor, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Return both cross entropies of sigmoids, averaged over classes, one a clip."""
    hard = F.binary_cross_entropy_with_logits(logits, target.to(logits), reduction="none")
    soft = F.binary_cross_entropy_with_logits(student, torch.sigmoid(teacher), reduction="none")
    return hard.mean(dim=-1), soft.mean(dim=-1)


class FusedDistillation(nn.Module):
    """Paper 004's loss; terms ``hard`` and ``soft``.

    Args:
        weight: λ, the share of the hard labels (where it starts).
        temperature: what divides both logits in the soft term.
        rule: ``"fixed"``, ``"scheduled"`` or ``"learned"``.
        last_weight: where a scheduled λ ends.
        multi_label: any number of labels a clip instead of one.

    Raises:
        HearlessError: a λ outside 0..1 (learned: 0 and 1 excluded), a temperature not above 0, or an unknown rule.
    """

    needs_teacher: bool = True
    needs: Needs = "logits"

    def __init__(
        self,
        *,
        weight: float = 0.02,
        temperature: float = 2.0,
        rule: str = "fixed",
        last_weight: float = 0.5,
        multi_label: bool = False,
    ) -> None:
        super().__init__()
        for share in (weight, last_weight):
            check_mix(NAME, share, temperature)
        if rule not in RULES:
            raise HearlessError(f"{NAME}: rule must be one of {', '.join(RULES)}, got {rule!r}.")
        if rule == "learned" and not 0.0 < weight < 1.0:
            raise HearlessError(f"{NAME}: weight must lie between 0 and 1 where it learns, got {weight}; try 0.02.")
        self.weight, self.temperature, self.rule = weight, temperature, rule
        self.last_weight, self.multi_label = last_weight, multi_label
        self.done = 0.0
        if rule == "learned":
            self.logit = nn.Parameter(torch.tensor(math.log(weight / (1.0 - weight))))

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Refuse a missing teacher or one with other classes."""
        require_teacher(NAME, student, teacher)

    def at(self, done: float) -> None:
        """Say which share of the stage is over (0 … 1)."""
        self.done = done

    def weight_of_labels(self) -> Tensor | float:
        """Return λ now."""
        if self.rule == "learned":
            return torch.sigmoid(self.logit)
        if self.rule == "scheduled":
            return self.last_weight + (self.weight - self.last_weight) * (1.0 + math.cos(math.pi * self.done)) / 2.0
        return self.weight

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return both terms; ``target`` ``[batch, class]``, ``weight`` ``[batch]``."""
        logits = require_teacher(NAME, student, teacher)
        return fused_distillation_loss(
            student.logits, logits, target, self.weight_of_labels(), self.temperature, weight,
            multi_label=self.multi_label,
        )  # fmt: skip
