"""How far scores can be trusted: temperature, thresholds, and the rule by which a sound is none of the classes.

Temperature: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017), section 4.2: one
scalar that all logits are divided by, at the least negative log-likelihood on validation clips.  Differs from it: the
targets are Platt's ("Probabilistic outputs for support vector machines", 1999, section 2.2), (n + 1) / (n + 2) in
place of 1, so that a few clips that are all right make nobody certain.

None of these: where exactly one class is there, a sound whose greatest calibrated score lies below ``none_below`` is of
no class; 95 of 100 validation clips pass (Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and
Out-of-Distribution Examples", ICLR 2017).  The energy score and the greatest logit, tried on networks trained here,
told noise, hum, speech and sounds of other classes apart hardly better (areas under the curve: 0.00 to 0.03 more).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logsumexp, softmax

from hearless.interfaces import HearlessError

PASSING = 0.95
"""The share of validation clips that are not called none of these."""

COLDEST, HOTTEST = 0.05, 20.0
"""Between which the temperature is looked for."""

UNCERTAIN = 0.5
"""The threshold of a class that no validation clip has."""

COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}
"""Noises by how steeply their power falls with frequency."""

LEVELS_DB = (-20.0, -40.0, -60.0)
"""How loud noises are, in dB of full scale."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Calibration:
    """What was fitted on validation clips.

    Attributes:
        temperature: logits are divided by it.
        thresholds: where any number of classes may be there: the score of each from which on it is; empty: 0.5.
        none_below: where exactly one class is there: a lower best score is none of these.
    """

    temperature: float = 1.0
    thresholds: tuple[float, ...] = ()
    none_below: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise HearlessError(f"temperature must be a number above 0, got {self.temperature}; fit it again.")
        if not all(0 <= one <= 1 for one in (*self.thresholds, self.none_below)):
            raise HearlessError(
                f"thresholds and none_below must be scores from 0 to 1, got {self.thresholds} and {self.none_below}."
            )

    def named(self, scores: ArrayLike, *, multi_label: bool) -> NDArray[np.bool_]:
        """Return which classes are said to be there ``[n, class]``, by calibrated scores ``[n, class]``."""
        return named(scores, multi_label=multi_label, thresholds=self.thresholds, none_below=self.none_below)


def fit(true: ArrayLike, logits: ArrayLike, *, multi_label: bool) -> Calibration:
    """Fit temperature, thresholds and the rule for none of these on validation clips.

    Args:
        true: classes ``[clip, class]``, 0 or 1.
        logits: ``[clip, class]``.
        multi_label: any number of classes at once, or exactly one.

    Raises:
        HearlessError: shapes that differ, no clip, or values that are not finite.
    """
    hits, z = _pair(true, logits)
    found = temperature(hits, z, multi_label=multi_label)
    calibrated = scores(z, found, multi_label=multi_label)
    if multi_label:
        return Calibration(found, tuple(best_thresholds(hits, calibrated)))
    return Calibration(found, none_below=none_below(calibrated))


def scores(logits: ArrayLike, temperature: float = 1.0, *, multi_label: bool) -> Array:
    """Return calibrated scores ``[…, class]`` from 0 to 1."""
    z = np.asarray(logits, np.float64) / temperature
    made: Array = expit(z) if multi_label else softmax(z, axis=-1)
    return made


def temperature(true: ArrayLike, logits: ArrayLike, *, multi_label: bool) -> float:
    """Return what to divide logits ``[clip, class]`` by: the least loss with the true classes, see `fit`."""
    from scipy.optimize import minimize_scalar  # slow to load, and who only hears does not fit

    hits, z = _pair(true, logits)
    n, n_classes = z.shape
    certain, rest = (n + 1) / (n + 2), 1 / (n + 2)
    wrong = rest if multi_label else rest / max(1, n_classes - 1)
    target = np.where(hits > 0, certain, wrong)

    def loss(inverse: float) -> float:
        scaled = z * inverse
        whole = np.logaddexp(0, scaled).sum(1) if multi_label else logsumexp(scaled, axis=1) * target.sum(1)
        return float((whole - (target * scaled).sum(1)).mean())

    best = minimize_scalar(loss, bounds=(1 / HOTTEST, 1 / COLDEST), method="bounded", options={"xatol": 1e-8})
    return float(1 / best.x)


def best_thresholds(true: ArrayLike, scores: ArrayLike) -> list[float]:
    """Return each class's threshold of the greatest F1, the highest where several are; 0.5 for a class without clips.

    A threshold lies halfway between the last score that it lets in and the first that it does not.
    """
    hits, matrix = _pair(true, scores)
    return [_best_threshold(hits[:, i] > 0, matrix[:, i]) for i in range(matrix.shape[1])]


def _best_threshold(hits: Array, scores: Array) -> float:
    if not hits.any():
        return UNCERTAIN
    order = np.argsort(-scores, kind="stable")
    ranked = np.append(scores[order], 0.0)
    taken = np.arange(1, len(hits) + 1)
    f1 = np.where(ranked[:-1] > ranked[1:], 2 * hits[order].cumsum() / (taken + hits.sum()), -1.0)
    last = int(f1.argmax())
    return float((ranked[last] + ranked[last + 1]) / 2)


def none_below(scores: ArrayLike, passing: float = PASSING) -> float:
    """Return the best score that at least a share ``passing`` of clips ``[clip, class]`` reaches."""
    if not 0 < passing <= 1:
        raise HearlessError(f"passing must lie above 0 and be at most 1, got {passing}.")
    return float(np.quantile(np.asarray(scores).max(-1), 1 - passing, method="lower"))


def named(
    scores: ArrayLike, *, multi_label: bool, thresholds: Sequence[float] = (), none_below: float = 0.0
) -> NDArray[np.bool_]:
    """Return which classes are said to be there ``[…, class]``, by calibrated scores of the same shape.

    Any number where ``multi_label``: those at their thresholds or above.  Else the best, or none below ``none_below``.
    """
    matrix = np.asarray(scores)
    if multi_label:
        there: NDArray[np.bool_] = matrix >= np.asarray(thresholds if len(thresholds) else UNCERTAIN, matrix.dtype)
        return there
    first = np.arange(matrix.shape[-1]) == matrix.argmax(-1)[..., None]
    return np.asarray(first & (matrix.max(-1, keepdims=True) >= np.asarray(none_below, matrix.dtype)))


def noises(n_samples: int, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Return what holds no sound of any class: silence, and white, pink and brown noise, loud and soft.

    Each is ``[n, time]``, its root mean square at `LEVELS_DB`.
    """
    rng = np.random.default_rng(seed)
    made = {name: np.stack([_noise(rng, n_samples, fall, db) for db in LEVELS_DB]) for name, fall in COLOURS.items()}
    return {"silence": np.zeros((1, n_samples), np.float32), **made}


def _noise(rng: np.random.Generator, n_samples: int, fall: float, level_db: float) -> NDArray[np.float32]:
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    spectrum *= np.maximum(1, np.arange(len(spectrum))) ** (-fall / 2)
    sound = np.fft.irfft(spectrum, n_samples)
    rms = math.sqrt(float((sound**2).mean()))
    return (sound * 10 ** (level_db / 20) / max(rms, 1e-12)).astype(np.float32)


def _pair(true: ArrayLike, values: ArrayLike) -> tuple[Array, Array]:
    """Check classes of 0 and 1 against logits or scores of one shape ``[clip, class]``."""
    hits, matrix = np.asarray(true), np.asarray(values, np.float64)
    if hits.shape != matrix.shape or matrix.ndim != 2 or matrix.size == 0:
        raise HearlessError(
            f"true and logits must be [clip, class] of one shape and not empty, got {hits.shape} and {matrix.shape}; "
            "give a row a validation clip."
        )
    if not np.isfinite(matrix).all() or not np.isin(hits, (0, 1)).all():
        raise HearlessError("logits must be finite and true 0 or 1; leave out clips that are neither.")
    return hits, matrix
