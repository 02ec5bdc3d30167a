"""Binary cross entropy on logits, the loss of every multi-label recipe.

Source: the clip loss of PANNs (Kong et al. 2020), taken on logits instead of on sigmoids, where it does not
overflow.  Mean over classes, weighted mean over clips.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from hearless.interfaces import Needs, Prediction
from hearless.objectives._terms import check_target, weighted_mean

EXAMPLE: dict[str, Any] = {}


def binary_cross_entropy_loss(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean over classes, weighted mean over clips, of the binary cross entropy of ``sigmoid(logits)``.

    Args:
        logits: ``[batch, class]``.
        target: float ``[batch, class]`` in 0..1.
        weight: ``[batch]``, each clip's weight, or None.

    Raises:
        HearlessError: target or weight do not fit the logits.
    """
    check_target("BinaryCrossEntropy", logits, target, weight)
    losses = F.binary_cross_entropy_with_logits(logits, target.to(logits), reduction="none")
    return weighted_mean(losses.mean(dim=-1), weight)


class BinaryCrossEntropy(nn.Module):
    """Binary cross entropy of the student's logits with the target; term ``binary_cross_entropy``."""

    needs_teacher: bool = False
    needs: Needs = "logits"

    def __init__(self) -> None:
        super().__init__()

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Own nothing."""

    def forward(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return the one term; ``target`` ``[batch, class]``, ``weight`` ``[batch]``; the teacher is not heard."""
        return {"binary_cross_entropy": binary_cross_entropy_loss(student.logits, target, weight)}
