"""What every objective needs: the weighted mean over clips, and the checks of its inputs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hearless.interfaces import HearlessError, Prediction


def weighted_mean(losses: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return ``sum(w_i * l_i) / sum(w_i)`` of one loss per clip ``[batch]``; None weighs all clips the same.

    A batch whose weights are all zero costs 0.
    """
    if weight is None:
        return losses.mean()
    weight = weight.to(losses)
    return (losses * weight).sum() / weight.sum().clamp_min(torch.finfo(losses.dtype).tiny)


def check_target(name: str, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> None:
    """Refuse a target that is not float ``[batch, class]`` like the logits, or a weight that is not ``[batch]``."""
    if target.shape != logits.shape or not target.is_floating_point():
        raise HearlessError(
            f"{name}: the target must be a float tensor shaped like the logits, {tuple(logits.shape)}, "
            f"got {target.dtype} {tuple(target.shape)}; turn class numbers into one-hot rows."
        )
    if weight is not None and weight.shape != logits.shape[:1]:
        raise HearlessError(
            f"{name}: the weight must have one number per clip, {tuple(logits.shape[:1])}, got {tuple(weight.shape)}; "
            "repeat one weight for every clip."
        )


def check_logits(name: str, student: Tensor, teacher: Tensor) -> None:
    """Refuse a teacher whose logits ``[batch, class]`` do not pair with the student's."""
    if student.shape[-1] != teacher.shape[-1]:
        raise HearlessError(
            f"{name}: student and teacher must share their classes, got {student.shape[-1]} from the student "
            f"and {teacher.shape[-1]} from the teacher; give the teacher a head for the student's labels."
        )
    if student.shape != teacher.shape:
        raise HearlessError(
            f"{name}: student and teacher must hear the same batch, got logits {tuple(student.shape)} from the "
            f"student and {tuple(teacher.shape)} from the teacher; give both the same clips."
        )


def require_teacher(name: str, student: Prediction, teacher: Prediction | None) -> Tensor:
    """Return the teacher's logits cut from the graph; refuse a missing or an ill-fitting teacher."""
    if teacher is None:
        raise HearlessError(f"{name} needs a teacher and got None; name one in the recipe, or use a loss without.")
    check_logits(name, student.logits, teacher.logits)
    return teacher.logits.detach()


def check_mix(name: str, alpha: float, temperature: float) -> None:
    """Refuse an ``alpha`` outside 0..1 or a ``temperature`` that is not positive and finite."""
    if not 0.0 <= alpha <= 1.0:
        raise HearlessError(f"{name}: alpha must lie in 0..1, got {alpha}; 1 is hard labels only, 0 teacher only.")
    if not 0.0 < temperature < math.inf:
        raise HearlessError(f"{name}: temperature must be above 0 and finite, got {temperature}; 1 leaves logits be.")
