"""Hard labels and a teacher's tempered logits: the distillation loss of paper 000, equations 1 and 2.

``L = alpha * CE(y_s, y) + (1 - alpha) * T**2 * KL(q_t || q_s)``, ``q = softmax(logits / T)``, after Hinton et al.
2015.  Born-again (BASD) and cross-sampling-rate (CSSD) distillation share it; only the teacher's view differs.
The paper names no reduction: the divergence is summed over classes and averaged over clips, as the cross entropy.
No code was published.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from hearless.interfaces import Needs, Prediction
from hearless.objectives._terms import check_logits, check_mix, check_target, require_teacher, weighted_mean

EXAMPLE: dict[str, Any] = {"alpha": 0.5, "temperature": 4.0}


def self_distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    target: Tensor,
    alpha: float,
    temperature: float,
    weight: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return ``{"hard": alpha * CE, "soft": (1 - alpha) * T**2 * KL(q_t || q_s)}``; their sum is the loss.

    Args:
        student_logits: ``[batch, class]``.
        teacher_logits: ``[batch, class]``; no gradient flows into them.
        target: float ``[batch, class]``, rows summing to 1.
        alpha: share of the hard labels, 0..1.
        temperature: what divides both logits, above 0.
        weight: ``[batch]``, each clip's weight, or None.

    Raises:
        HearlessError: shapes, alpha or temperature break a rule.
    """
    check_mix("SelfDistillation", alpha, temperature)
    check_target("SelfDistillation", student_logits, target, weight)
    check_logits("SelfDistillation", student_logits, teacher_logits)
    log_student = F.log_softmax(student_logits / temperature, dim=-1)
    tempered = F.softmax(teacher_logits.detach() / temperature, dim=-1)
    divergence = F.kl_div(log_student, tempered, reduction="none").sum(dim=-1)
    hard = weighted_mean(F.cross_entropy(student_logits, target, reduction="none"), weight)
    soft = weighted_mean(divergence, weight)
    return {"hard": alpha * hard, "soft": (1.0 - alpha) * temperature**2 * soft}


class SelfDistillation(nn.Module):
    """Paper 000's loss, for single-label sets; terms ``hard`` and ``soft``."""

    needs_teacher: bool = True
    needs: Needs = "logits"

    def __init__(self, *, alpha: float = 0.5, temperature: float = 4.0) -> None:
        super().__init__()
        check_mix("SelfDistillation", alpha, temperature)
        self.alpha = alpha
        self.temperature = temperature

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Own nothing; refuse a missing teacher or one with other classes."""
        require_teacher("SelfDistillation", student, teacher)

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return both terms; ``target`` ``[batch, class]``, ``weight`` ``[batch]``."""
        logits = require_teacher("SelfDistillation", student, teacher)
        return self_distillation_loss(student.logits, logits, target, self.alpha, self.temperature, weight)
