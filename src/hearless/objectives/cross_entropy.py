"""Cross entropy on one-hot or mixed targets, the loss of every single-label recipe.

Source: paper 000 eq. 1, first term; label smoothing after Szegedy et al. 2016, "Rethinking the Inception
Architecture".  Differs from the usual mean in that clips may weigh differently.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from hearless.interfaces import HearlessError, Needs, Prediction
from hearless.objectives._terms import check_target, weighted_mean

EXAMPLE: dict[str, Any] = {"label_smoothing": 0.1}


def cross_entropy_loss(
    logits: Tensor, target: Tensor, label_smoothing: float = 0.0, weight: Tensor | None = None
) -> Tensor:
    """Return the weighted mean over clips of ``-sum_c target_c * ln softmax(logits)_c``.

    Args:
        logits: ``[batch, class]``.
        target: float ``[batch, class]``, rows summing to 1.
        label_smoothing: share of the target spread evenly over all classes.
        weight: ``[batch]``, each clip's weight, or None.

    Raises:
        HearlessError: target or weight do not fit the logits.
    """
    check_target("CrossEntropy", logits, target, weight)
    losses = F.cross_entropy(logits, target, reduction="none", label_smoothing=label_smoothing)
    return weighted_mean(losses, weight)


class CrossEntropy(nn.Module):
    """Cross entropy of the student's logits with the target; term ``cross_entropy``."""

    needs_teacher: bool = False
    needs: Needs = "logits"

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0.0 <= label_smoothing < 1.0:
            raise HearlessError(
                f"CrossEntropy: label_smoothing must lie in 0..1, 1 excluded, got {label_smoothing}; 0 turns it off."
            )
        self.label_smoothing = label_smoothing

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Own nothing."""

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return the one term; ``target`` ``[batch, class]``, ``weight`` ``[batch]``; the teacher is not heard."""
        return {"cross_entropy": cross_entropy_loss(student.logits, target, self.label_smoothing, weight)}
