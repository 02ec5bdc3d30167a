"""A teacher made by hand: Tf-KD (Yuan et al. 2020, "Revisiting Knowledge Distillation via Label Smoothing", CVPR).

The virtual teacher gives the right class the probability a and shares the rest among the others evenly; it is then
distilled as any teacher, ``alpha * CE + (1 - alpha) * T**2 * KL(p_T || softmax(z_s / T))``.  It knows the label and
nothing else, so what it gains over hard labels no teacher can claim: a control, beside label smoothing
(`CrossEntropy`), which is the case T = 1.

a (0.99), T (20) and the share of hard labels (0.9, 1 less the paper's α) follow the paper (a of 0.9 or more, T of 20 or
more) and its code's setting for ResNet-18 on CIFAR-100.  It leaves two things open.  How a law given as probabilities
is tempered: here p_T is p to the power 1 / T, normalised, which is what T does to logits.  And T²: its formula has
none; here it stands, as in the other soft terms, or a T of 20 would leave next to nothing of the gradient.  The
authors' code takes the softmax of probabilities over T as the target of the student's untempered law, without T²:
nearly the uniform law, so label smoothing.  A mixed clip's virtual teacher is the mixture of its classes'.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from hearless.interfaces import HearlessError, Needs, Prediction
from hearless.objectives._terms import check_classes, check_mix, check_target
from hearless.objectives.self_distillation import self_distillation_loss

EXAMPLE: dict[str, Any] = {"alpha": 0.9, "temperature": 20.0, "confidence": 0.99}

NAME = "TeacherFree"


def virtual_teacher(target: Tensor, confidence: float) -> Tensor:
    """Return probabilities ``[batch, class]``: ``confidence`` on the target class, the rest shared evenly."""
    rest = (1.0 - confidence) / (target.shape[-1] - 1)
    return rest + (confidence - rest) * target


def teacher_free_loss(
    student_logits: Tensor,
    target: Tensor,
    alpha: float,
    temperature: float,
    confidence: float,
    weight: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return ``{"hard": alpha * CE, "soft": (1 - alpha) * T**2 * KL}`` against the virtual teacher.

    Args:
        student_logits: ``[batch, class]``, two classes or more.
        target: float ``[batch, class]``, rows summing to 1.
        alpha: share of the hard labels, 0..1.
        temperature: what divides the logits of both, above 0.
        confidence: the virtual teacher's probability of the target class, above 0 and below 1.
        weight: ``[batch]``, each clip's weight, or None.

    Raises:
        HearlessError: shapes or an argument break a rule.
    """
    check_mix(NAME, alpha, temperature)
    check_confidence(confidence)
    check_target(NAME, student_logits, target, weight)
    check_classes(NAME, student_logits)
    teacher = virtual_teacher(target.to(student_logits), confidence).log()
    return self_distillation_loss(student_logits, teacher, target, alpha, temperature, weight)


def check_confidence(confidence: float) -> None:
    """Refuse a probability of the target class that is not between 0 and 1."""
    if not 0.0 < confidence < 1.0:
        raise HearlessError(
            f"{NAME}: confidence must lie between 0 and 1, got {confidence}; 1 is hard labels, which alpha weighs."
        )


class TeacherFree(nn.Module):
    """Distillation of a virtual teacher, for single-label sets; terms ``hard`` and ``soft``."""

    needs_teacher: bool = False
    needs: Needs = "logits"

    def __init__(self, *, alpha: float = 0.9, temperature: float = 20.0, confidence: float = 0.99) -> None:
        super().__init__()
        check_mix(NAME, alpha, temperature)
        check_confidence(confidence)
        self.alpha, self.temperature, self.confidence = alpha, temperature, confidence

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Own nothing."""

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return both terms; ``target`` ``[batch, class]``, ``weight`` ``[batch]``; the teacher is not heard."""
        return teacher_free_loss(student.logits, target, self.alpha, self.temperature, self.confidence, weight)
