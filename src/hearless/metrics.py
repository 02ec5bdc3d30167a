"""Scores of predictions: plain functions on arrays, no models.

Conventions.  One label a clip: ``true`` ``[clip]`` ints, ``logits`` ``[clip, class]``; the predicted class is the
first of the greatest.  Several labels a clip: ``true`` ``[clip, class]`` of 0 and 1, ``scores`` of the same shape.
Every score is a fraction (0.662, not 66.2).  *Present* classes have at least one clip in ``true``; a class that is
absent has no accuracy (NaN) and no part in a mean.  Nothing depends on the order of the clips.
The definitions are scikit-learn's; they are written in numpy because a bootstrap calls them thousands of times.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hearless.interfaces import HearlessError

Array = NDArray[Any]


def _matrix(name: str, values: ArrayLike) -> Array:
    """Return a finite float matrix ``[clip, class]`` that is not empty."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise HearlessError(f"{name} must be [clip, class] and not empty, got shape {array.shape}; give a row a clip.")
    if not np.isfinite(array).all():
        wrong = int((~np.isfinite(array)).any(axis=1).argmax())
        raise HearlessError(f"{name} must be finite, got NaN or infinity in row {wrong}; leave such clips out.")
    return array


def _labels(name: str, values: ArrayLike, n_classes: int) -> Array:
    """Return labels ``[clip]`` as ints below ``n_classes``."""
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0:
        raise HearlessError(f"{name} must be [clip] and not empty, got shape {array.shape}; give one label a clip.")
    if array.dtype.kind not in "iu":
        raise HearlessError(f"{name} must hold ints, got {array.dtype}; give class indices.")
    if array.min() < 0 or array.max() >= n_classes:
        raise HearlessError(
            f"{name} must lie in 0 … {n_classes - 1}, got {array.min()} … {array.max()}; "
            "check that labels and outputs are of the same set."
        )
    return array


def _single(true: ArrayLike, logits: ArrayLike, name: str = "logits") -> tuple[Array, Array]:
    """Check labels ``[clip]`` against scores ``[clip, class]``."""
    matrix = _matrix(name, logits)
    labels = _labels("true", true, matrix.shape[1])
    if len(labels) != len(matrix):
        raise HearlessError(f"true and {name} must be of the same clips, got {len(labels)} and {len(matrix)}.")
    return labels, matrix


def _probabilities(true: ArrayLike, probabilities: ArrayLike) -> tuple[Array, Array]:
    """Check labels against class probabilities that sum to one."""
    labels, matrix = _single(true, probabilities, "probabilities")
    if matrix.min() < 0 or not np.allclose(matrix.sum(axis=1), 1, atol=1e-3):
        raise HearlessError("probabilities must be 0 or more and sum to 1 a row; apply `softmax` to logits first.")
    return labels, matrix


def softmax(logits: ArrayLike) -> Array:
    """Return class probabilities ``[clip, class]``, safe against overflow."""
    matrix = _matrix("logits", logits)
    exponents: Array = np.exp(matrix - matrix.max(axis=1, keepdims=True))
    shares: Array = exponents / exponents.sum(axis=1, keepdims=True)
    return shares


def sigmoid(logits: ArrayLike) -> Array:
    """Return ``1 / (1 + exp(-logits))`` ``[clip, class]``, safe against overflow."""
    shares: Array = 0.5 * (1 + np.tanh(_matrix("logits", logits) / 2))
    return shares


def correct(true: ArrayLike, logits: ArrayLike) -> Array:
    """Return 1.0 where the predicted class is the true one, else 0.0, ``[clip]``."""
    labels, matrix = _single(true, logits)
    return np.asarray(matrix.argmax(axis=1) == labels, dtype=np.float64)


def accuracy(true: ArrayLike, logits: ArrayLike) -> float:
    """Return the share of clips whose predicted class is the true one."""
    return float(correct(true, logits).mean())


def top_k_accuracy(true: ArrayLike, logits: ArrayLike, k: int = 5) -> float:
    """Return the share of clips whose true class is among the ``k`` greatest; of equals the first comes first."""
    labels, matrix = _single(true, logits)
    if not 1 <= k <= matrix.shape[1]:
        raise HearlessError(f"k must lie in 1 … {matrix.shape[1]} (the classes), got {k}.")
    own = np.take_along_axis(matrix, labels[:, None], axis=1)
    earlier = np.arange(matrix.shape[1]) < labels[:, None]
    rank = ((matrix > own) | ((matrix == own) & earlier)).sum(axis=1)
    return float((rank < k).mean())


def confusion(true: ArrayLike, predicted: ArrayLike, n_classes: int) -> Array:
    """Return how many clips of true class (row) were given which class (column): ints ``[class, class]``."""
    if n_classes < 1:
        raise HearlessError(f"n_classes must be 1 or more, got {n_classes}.")
    rows, columns = _labels("true", true, n_classes), _labels("predicted", predicted, n_classes)
    if len(rows) != len(columns):
        raise HearlessError(f"true and predicted must be of the same clips, got {len(rows)} and {len(columns)}.")
    return np.bincount(rows * n_classes + columns, minlength=n_classes**2).reshape(n_classes, n_classes)


def _confused(true: ArrayLike, logits: ArrayLike) -> Array:
    """Return the confusion matrix of logits."""
    labels, matrix = _single(true, logits)
    return confusion(labels, matrix.argmax(axis=1), matrix.shape[1])


def per_class_accuracy(true: ArrayLike, logits: ArrayLike) -> Array:
    """Return each class's recall ``[class]``, NaN where ``true`` has none."""
    table = _confused(true, logits)
    clips = table.sum(axis=1)
    return np.where(clips > 0, table.diagonal() / np.maximum(clips, 1), np.nan)


def macro_accuracy(true: ArrayLike, logits: ArrayLike) -> float:
    """Return the mean recall of the classes present (balanced accuracy)."""
    return float(np.nanmean(per_class_accuracy(true, logits)))


def macro_f1(true: ArrayLike, logits: ArrayLike) -> float:
    """Return the mean F1 of the classes that are present or predicted (one only predicted counts as 0)."""
    table = _confused(true, logits)
    clips = table.sum(axis=0) + table.sum(axis=1)
    return float((2 * table.diagonal()[clips > 0] / clips[clips > 0]).mean())


def average_precision(true: ArrayLike, scores: ArrayLike) -> Array:
    """Return each class's average precision ``[class]``, NaN where ``true`` has no positive.

    The sum of precision times step in recall over distinct scores, so that equal scores enter together.
    """
    hits, matrix = _matrix("true", true), _matrix("scores", scores)
    if hits.shape != matrix.shape:
        raise HearlessError(f"true and scores must have one shape, got {hits.shape} and {matrix.shape}.")
    if not np.isin(hits, (0, 1)).all():
        raise HearlessError("true must hold 0 and 1 only; threshold soft targets first.")
    order = np.argsort(-matrix, axis=0, kind="stable")
    hits, ranked = np.take_along_axis(hits, order, axis=0), np.take_along_axis(matrix, order, axis=0)
    rank = np.arange(1, len(hits) + 1)[:, None]
    last = np.vstack([ranked[1:] != ranked[:-1], np.ones((1, hits.shape[1]), bool)])
    end = np.minimum.accumulate(np.where(last, rank, len(hits))[::-1], axis=0)[::-1]
    precision = np.take_along_axis(hits.cumsum(axis=0), end - 1, axis=0) / end
    positives = hits.sum(axis=0)
    return np.where(positives > 0, (hits * precision).sum(axis=0) / np.maximum(positives, 1), np.nan)


def mean_average_precision(true: ArrayLike, scores: ArrayLike) -> float:
    """Return the mean average precision of the classes that have a positive."""
    precision = average_precision(true, scores)
    if np.isnan(precision).all():
        raise HearlessError("true must hold a positive, got none in any class; check the labels.")
    return float(np.nanmean(precision))


def log_loss(true: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the mean of ``-ln`` of the true class's probability (none counts as less than 2.2e-16), in nats."""
    labels, matrix = _probabilities(true, probabilities)
    own = np.take_along_axis(matrix, labels[:, None], axis=1)
    return float(-np.log(np.clip(own, np.finfo(np.float64).eps, 1)).mean())


def expected_calibration_error(true: ArrayLike, probabilities: ArrayLike, n_bins: int = 15) -> float:
    """Return how far confidence lies from accuracy, over bins of equal width closed above (Guo et al., 2017)."""
    labels, matrix = _probabilities(true, probabilities)
    if n_bins < 1:
        raise HearlessError(f"n_bins must be 1 or more, got {n_bins}.")
    confidence = matrix.max(axis=1)
    place = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    gap = np.bincount(place, confidence - (matrix.argmax(axis=1) == labels), minlength=n_bins)
    return float(np.abs(gap).sum() / len(labels))


def score_calibration_error(true: ArrayLike, scores: ArrayLike, n_bins: int = 15) -> float:
    """Return how far scores ``[clip, class]`` lie from the share of hits, all classes together, in bins as above."""
    hits, matrix = _matrix("true", true), _matrix("scores", scores)
    if hits.shape != matrix.shape or matrix.min() < 0 or matrix.max() > 1:
        raise HearlessError(f"true and scores must have one shape and lie in 0 … 1, got {hits.shape}, {matrix.shape}.")
    if n_bins < 1:
        raise HearlessError(f"n_bins must be 1 or more, got {n_bins}.")
    place = np.clip(np.ceil(matrix * n_bins).astype(int) - 1, 0, n_bins - 1)
    gap = np.bincount(place.ravel(), (matrix - hits).ravel(), minlength=n_bins)
    return float(np.abs(gap).sum() / matrix.size)


def _pair(teacher: ArrayLike, model: ArrayLike) -> tuple[Array, Array]:
    """Check two listeners' scores ``[clip, class]`` of the same clips and classes."""
    theirs, ours = _matrix("teacher", teacher), _matrix("model", model)
    if theirs.shape != ours.shape:
        raise HearlessError(
            f"teacher and model must be of the same clips and classes, got {theirs.shape}, {ours.shape}."
        )
    return theirs, ours


def first_class_agreement(teacher: ArrayLike, model: ArrayLike) -> float:
    """Return paper 003's PtoPa-FC: the share of clips whose first class is the teacher's, every clip counting alike."""
    theirs, ours = _pair(teacher, model)
    return float((theirs.argmax(axis=1) == ours.argmax(axis=1)).mean())


def top_k_agreement(teacher: ArrayLike, model: ArrayLike, k: int = 5) -> float:
    """Return the mean share of the teacher's ``k`` first classes that are among the model's ``k`` first."""
    return float(top_k_shares(teacher, model, k).mean())


def top_k_shares(teacher: ArrayLike, model: ArrayLike, k: int = 5) -> Array:
    """Return each clip's share of the teacher's ``k`` first classes that are among the model's: ``[clip]``."""
    theirs, ours = _pair(teacher, model)
    if not 1 <= k <= theirs.shape[1]:
        raise HearlessError(f"k must lie in 1 … {theirs.shape[1]} (the classes), got {k}.")
    first = [np.argsort(-scores, axis=1, kind="stable")[:, :k] for scores in (theirs, ours)]
    shared: Array = (first[0][:, :, None] == first[1][:, None, :]).any(axis=2).mean(axis=1)
    return shared


def published_kl(teacher: ArrayLike, model: ArrayLike) -> float:
    """Return paper 003's KL divergence of the model's scores from the teacher's, averaged over clips."""
    return float(published_divergences(teacher, model).mean())


def published_divergences(teacher: ArrayLike, model: ArrayLike) -> Array:
    """Return paper 003's KL divergence of each clip ``[clip]``, as its code computes it.

    Over sigmoid scores ``[clip, class]`` that sum to no 1: ``(t + e) ln((t + e) / (m + e))`` with ``e = 1e-10``,
    summed over the classes of a clip, *divided by the number of classes*.  It may be negative.
    """
    theirs, ours = (scores + 1e-10 for scores in _pair(teacher, model))
    if min(theirs.min(), ours.min()) <= 0 or max(theirs.max(), ours.max()) > 1 + 1e-9:
        raise HearlessError("teacher and model must be scores from 0 to 1; apply `sigmoid` to logits first.")
    divergences: Array = (theirs * np.log(theirs / ours)).mean(axis=1)
    return divergences


def binary_losses(target: ArrayLike, logits: ArrayLike) -> Array:
    """Return each clip's binary cross entropy of ``sigmoid(logits)`` with targets in 0..1, mean over classes, nats."""
    hits, z = _pair(target, logits)
    losses: Array = (np.maximum(z, 0) - z * hits + np.log1p(np.exp(-np.abs(z)))).mean(axis=1)
    return losses
