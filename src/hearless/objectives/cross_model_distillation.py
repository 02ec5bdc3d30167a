"""Hard labels and another model's tempered logits: the distillation loss of paper 002, equation 3 (CMKD).

``L = alpha * L_g(z_s, y) + (1 - alpha) * KL(softmax(z_t / T) || softmax(z_s))``, after Gong et al. 2022, "CMKD"; alpha
(0.5) is the paper's λ, T (5) its τ.  It is `SelfDistillation` with the temperature on the teacher's logits alone: the
student stays at 1, and no T² makes up for its gradient.  L_g is cross entropy, with label smoothing for ESC-50, or
binary cross entropy, on the mixed labels of Speech Commands; the divergence is of softmaxes in both.

The paper names neither the divergence's direction nor its reduction: here it is the student's from the teacher, summed
over classes and averaged over clips.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from hearless.interfaces import HearlessError, Needs, Prediction
from hearless.objectives._terms import check_logits, check_mix, check_target, require_teacher
from hearless.objectives.binary_cross_entropy import binary_cross_entropy_loss
from hearless.objectives.cross_entropy import cross_entropy_loss
from hearless.objectives.self_distillation import self_distillation_loss

EXAMPLE: dict[str, Any] = {"alpha": 0.5, "temperature": 5.0}

NAME = "CrossModelDistillation"
HARD = ("cross_entropy", "binary_cross_entropy")


def cross_model_distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    target: Tensor,
    alpha: float,
    temperature: float,
    weight: Tensor | None = None,
    *,
    hard: str = "cross_entropy",
    label_smoothing: float = 0.0,
) -> dict[str, Tensor]:
    """Return ``{"hard": alpha * L_g, "soft": (1 - alpha) * KL(softmax(z_t / T) || softmax(z_s))}``.

    Args:
        student_logits: ``[batch, class]``.
        teacher_logits: ``[batch, class]``; no gradient flows into them.  At an alpha of 1 they are not looked at.
        target: float ``[batch, class]``; rows sum to 1 for cross entropy.
        alpha: share of the hard labels, 0..1.
        temperature: what divides the teacher's logits, above 0.
        weight: ``[batch]``, each clip's weight, or None.
        hard: ``"cross_entropy"`` or ``"binary_cross_entropy"``.
        label_smoothing: share of the target spread evenly over all classes, with cross entropy only.

    Raises:
        HearlessError: shapes, or an argument, break a rule.
    """
    check_mix(NAME, alpha, temperature)
    check_hard(hard, label_smoothing)
    check_target(NAME, student_logits, target, weight)
    check_logits(NAME, student_logits, teacher_logits)
    truth = (
        cross_entropy_loss(student_logits, target, label_smoothing, weight)
        if hard == "cross_entropy"
        else binary_cross_entropy_loss(student_logits, target, weight)
    )
    if alpha == 1.0:
        return {"hard": truth, "soft": truth.new_zeros(())}
    cooled = teacher_logits.to(student_logits) / temperature
    soft = self_distillation_loss(student_logits, cooled, target, alpha, 1.0, weight)["soft"]
    return {"hard": alpha * truth, "soft": soft}


def check_hard(hard: str, label_smoothing: float) -> None:
    """Refuse an unknown loss for the hard labels, or a label smoothing that it has no use for."""
    if hard not in HARD:
        raise HearlessError(f"{NAME}: hard must be one of {', '.join(HARD)}, got {hard!r}.")
    if not 0.0 <= label_smoothing < 1.0:
        raise HearlessError(
            f"{NAME}: label_smoothing must lie in 0..1, 1 excluded, got {label_smoothing}; 0 turns it off."
        )
    if label_smoothing and hard != "cross_entropy":
        raise HearlessError(f"{NAME}: label_smoothing must be 0 with {hard}, got {label_smoothing}; use cross_entropy.")


class CrossModelDistillation(nn.Module):
    """Paper 002's loss; terms ``hard`` and ``soft``.

    An ``alpha`` of 1 turns distillation off exactly: loss and gradients are those of `CrossEntropy` or
    `BinaryCrossEntropy`, whatever the teacher says.

    Args:
        alpha: share of the hard labels (the paper's λ).
        temperature: what divides the teacher's logits (the paper's τ).
        hard: the loss of the hard labels, ``"cross_entropy"`` or ``"binary_cross_entropy"``.
        label_smoothing: with cross entropy only.
    """

    needs_teacher: bool = True
    needs: Needs = "logits"

    def __init__(
        self,
        *,
        alpha: float = 0.5,
        temperature: float = 5.0,
        hard: str = "cross_entropy",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        check_mix(NAME, alpha, temperature)
        check_hard(hard, label_smoothing)
        self.alpha, self.temperature = alpha, temperature
        self.hard, self.label_smoothing = hard, label_smoothing

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Own nothing; refuse a missing teacher or one with other classes."""
        require_teacher(NAME, student, teacher)

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return both terms; ``target`` ``[batch, class]``, ``weight`` ``[batch]``."""
        logits = require_teacher(NAME, student, teacher)
        return cross_model_distillation_loss(
            student.logits, logits, target, self.alpha, self.temperature, weight,
            hard=self.hard, label_smoothing=self.label_smoothing,
        )  # fmt: skip
