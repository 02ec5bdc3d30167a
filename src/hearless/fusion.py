"""Several teachers' logits in one: their mean, or weights and biases fitted to held-out clips.

Source: paper 004, equation 4: ``h(i, t) = sum_k alpha_k logits_k(i, t) + beta_i``, a weight for each teacher and a bias
for each class, started at 1 / K and 0.  The paper does not say how they are found; cross entropy makes it the linear
logistic regression with which speaker recognition fuses its systems (FoCal).  Several labels a clip take the binary
cross entropy, averaged over classes.

`RIDGE` pulls towards the start: without it the weights grow without end where the teachers part the classes without
an error, as they may on few clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearless.interfaces import HearlessError

Array = NDArray[Any]

RIDGE = 1e-3
"""Cost, in nats, of half the squared distance from the start."""


@dataclass(frozen=True)
class Fusion:
    """A weight for each teacher, a bias for each class, and how well they fit.

    Attributes:
        alpha: ``[teacher]``.
        beta: ``[class]``.
        n_clips: held-out clips that they were fitted on.
        loss: cross entropy there, in nats.
        loss_of_mean: that of the teachers' mean.
    """

    alpha: tuple[float, ...]
    beta: tuple[float, ...]
    n_clips: int = 0
    loss: float = float("nan")
    loss_of_mean: float = float("nan")

    def __call__(self, each: Sequence[Array] | Array) -> NDArray[np.float32]:
        """Fuse the teachers' logits, each ``[…, class]``, one teacher after the other.

        Raises:
            HearlessError: not one array for each weight, or other classes.
        """
        if len(each) != len(self.alpha) or any(one.shape[-1] != len(self.beta) for one in each):
            raise HearlessError(
                f"a fusion takes {len(self.alpha)} teachers of {len(self.beta)} classes, got {len(each)} of "
                f"{each[0].shape[-1] if len(each) else 0}; fit it to these teachers."
            )
        fused = np.broadcast_to(np.asarray(self.beta, np.float32), each[0].shape).copy()
        for weight, one in zip(self.alpha, each, strict=True):
            fused += np.float32(weight) * one.astype(np.float32)
        return fused

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "alpha": list(self.alpha), "beta": list(self.beta), "n_clips": self.n_clips, "loss": self.loss,
            "loss_of_mean": self.loss_of_mean,
        }  # fmt: skip


def mean_of(n_teachers: int, n_classes: int) -> Fusion:
    """Return the fusion that averages."""
    return Fusion((1.0 / n_teachers,) * n_teachers, (0.0,) * n_classes)


def fitted(each: Array, target: Array, *, multi_label: bool = False) -> Fusion:
    """Return the weights and biases of least cross entropy.

    Args:
        each: logits ``[teacher, clip, class]`` of clips that no teacher has trained on.
        target: ``[clip, class]``, 0 or 1.
        multi_label: any number of labels a clip instead of one.

    Raises:
        HearlessError: nothing to fit, shapes that do not fit each other, or logits that are not finite.
    """
    from scipy.optimize import minimize

    logits, true = np.asarray(each, np.float64), np.asarray(target, np.float64)
    if logits.ndim != 3 or not logits.size or logits.shape[1:] != true.shape:
        raise HearlessError(
            f"fusion weights need logits [teacher, clip, class] and a target [clip, class], got {logits.shape} and "
            f"{true.shape}."
        )
    if not np.isfinite(logits).all():
        raise HearlessError("fusion weights need finite logits, got others; train that teacher again.")
    n, classes = logits.shape[0], logits.shape[2]
    start = np.concatenate([np.full(n, 1.0 / n), np.zeros(classes)])

    def cost(at: Array) -> tuple[float, Array]:
        value, slope = _loss(np.tensordot(at[:n], logits, 1) + at[n:], true, multi_label)
        gradient = np.concatenate([(logits * slope).sum((1, 2)), slope.sum(0)])
        away = at - start
        return value + 0.5 * RIDGE * float(away @ away), gradient + RIDGE * away

    found = minimize(cost, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-8}).x
    losses = [_loss(np.tensordot(at[:n], logits, 1) + at[n:], true, multi_label)[0] for at in (found, start)]
    return Fusion(tuple(found[:n].tolist()), tuple(found[n:].tolist()), logits.shape[1], losses[0], losses[1])


def _loss(z: Array, true: Array, multi_label: bool) -> tuple[float, Array]:
    """Return the mean cross entropy of logits ``[clip, class]`` and its slope in them."""
    if multi_label:
        loss = np.maximum(z, 0) - z * true + np.log1p(np.exp(-np.abs(z)))
        return float(loss.mean()), (1 / (1 + np.exp(-np.clip(z, -60, 60))) - true) / z.size
    high = z.max(1, keepdims=True)
    log_p = z - high - np.log(np.exp(z - high).sum(1, keepdims=True))
    return float(-(true * log_p).sum(1).mean()), (np.exp(log_p) * true.sum(1, keepdims=True) - true) / len(z)
