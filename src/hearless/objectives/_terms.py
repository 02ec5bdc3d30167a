"""What objectives share: means over clips, the hard labels' term, standardising, and the checks of their inputs."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from hearless.interfaces import HearlessError, Prediction

ROUNDING = 16.0
"""A spread below this many units of rounding, relative to the largest value, is none."""


def weighted_mean(losses: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return ``sum(w_i * l_i) / sum(w_i)`` of one loss per clip ``[batch]``; None weighs all clips the same.

    A batch whose weights are all zero costs 0.
    """
    if weight is None:
        return losses.mean()
    weight = weight.to(losses)
    return (losses * weight).sum() / weight.sum().clamp_min(torch.finfo(losses.dtype).tiny)


def shares(like: Tensor, weight: Tensor | None) -> Tensor:
    """Return each clip's share ``[batch]`` in the batch's weight, of ``like``'s type; all 0 where all weigh 0."""
    weight = torch.ones_like(like) if weight is None else weight.to(like)
    return weight / weight.sum().clamp_min(torch.finfo(like.dtype).tiny)


def standardise(values: Tensor, share: Tensor, dim: int) -> Tensor:
    """Return ``(values - mean) / deviation`` along ``dim``, both weighted; 0 where the values do not vary.

    Args:
        values: any shape.
        share: broadcasts to ``values``; sums to 1 along ``dim``, or is 0.
        dim: the dimension along which to standardise.
    """
    counted = share > 0
    centred = (values - (share * values).sum(dim, keepdim=True)) * counted
    spread = centred.detach().abs().amax(dim, keepdim=True)
    largest = (values.detach().abs() * counted).amax(dim, keepdim=True)
    kind = torch.finfo(values.dtype)
    constant = spread <= torch.clamp_min(ROUNDING * kind.eps * largest, kind.tiny / kind.eps)
    scaled = centred / torch.where(constant, 1.0, spread)
    variance = torch.where(constant, 1.0, (share * scaled.square()).sum(dim, keepdim=True))
    return torch.where(constant, 0.0, scaled / variance.sqrt())


def hard_term(
    name: str, logits: Tensor, target: Tensor, hard_weight: float, weight: Tensor | None
) -> dict[str, Tensor]:
    """Return ``{"hard": hard_weight * CE}``, or nothing where it weighs 0, so that another objective's may stand."""
    check_target(name, logits, target, weight)
    if hard_weight == 0.0:
        return {}
    return {"hard": hard_weight * weighted_mean(F.cross_entropy(logits, target, reduction="none"), weight)}


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


def given(name: str, teacher: Prediction | None) -> Prediction:
    """Return the teacher's prediction; refuse a missing one."""
    if teacher is None:
        raise HearlessError(f"{name} needs a teacher and got None; name one in the recipe, or use a loss without.")
    return teacher


def require_teacher(name: str, student: Prediction, teacher: Prediction | None) -> Tensor:
    """Return the teacher's logits cut from the graph; refuse a missing or an ill-fitting teacher."""
    logits = given(name, teacher).logits
    check_logits(name, student.logits, logits)
    return logits.detach()


def check_mix(name: str, alpha: float, temperature: float) -> None:
    """Refuse an ``alpha`` outside 0..1 or a ``temperature`` that is not positive and finite."""
    if not 0.0 <= alpha <= 1.0:
        raise HearlessError(f"{name}: alpha must lie in 0..1, got {alpha}; 1 is hard labels only, 0 teacher only.")
    if not 0.0 < temperature < math.inf:
        raise HearlessError(f"{name}: temperature must be above 0 and finite, got {temperature}; 1 leaves logits be.")


def check_weights(name: str, **weights: float) -> None:
    """Refuse a term's weight that is negative or not finite."""
    for key, value in weights.items():
        if not 0.0 <= value < math.inf:
            raise HearlessError(f"{name}: {key} must be 0 or more and finite, got {value}; 0 turns its term off.")


def check_classes(name: str, logits: Tensor) -> None:
    """Refuse logits of one class: there is no other class to tell it from."""
    if logits.shape[-1] < 2:
        raise HearlessError(f"{name}: needs 2 classes or more, got {logits.shape[-1]}; use a binary objective.")
