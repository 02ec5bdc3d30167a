from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from hearless import metrics
from hearless.interfaces import HearlessError

Metric = Callable[..., float]
SINGLE: tuple[Metric, ...] = (metrics.accuracy, metrics.macro_accuracy, metrics.macro_f1, metrics.top_k_accuracy)


def drawn(seed: int, n_clips: int = 60, n_classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Labels and logits better than chance, with ties (rounded)."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, n_classes, n_clips)
    return true, np.round(rng.normal(size=(n_clips, n_classes)) + np.eye(n_classes)[true], 1)


@pytest.mark.parametrize("seed", range(5))
def test_single_label_scores_are_scikit_learns(seed: int) -> None:
    true, logits = drawn(seed)
    predicted, probabilities = logits.argmax(axis=1), metrics.softmax(logits)
    assert metrics.accuracy(true, logits) == pytest.approx(reference.accuracy_score(true, predicted))
    assert metrics.macro_accuracy(true, logits) == pytest.approx(reference.balanced_accuracy_score(true, predicted))
    assert metrics.macro_f1(true, logits) == pytest.approx(reference.f1_score(true, predicted, average="macro"))
    assert_array_equal(metrics.confusion(true, predicted, 7), reference.confusion_matrix(true, predicted))
    assert_allclose(
        metrics.per_class_accuracy(true, logits), reference.recall_score(true, predicted, average=None)
    )  # fmt: skip
    assert metrics.log_loss(true, probabilities) == pytest.approx(reference.log_loss(true, probabilities))


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_is_scikit_learns_without_ties(k: int) -> None:
    true, logits = drawn(3)
    logits = logits + np.random.default_rng(0).uniform(0, 0.01, logits.shape)
    expected = reference.top_k_accuracy_score(true, logits, k=k, labels=np.arange(7))
    assert metrics.top_k_accuracy(true, logits, k=k) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_scikit_learns_with_ties_and_empty_classes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = (rng.uniform(size=(50, 6)) < 0.2).astype(int)
    true[:, 2] = 0
    scores = np.round(rng.normal(size=true.shape) + true, 1)
    present = [0, 1, 3, 4, 5]
    expected = [reference.average_precision_score(true[:, i], scores[:, i]) for i in present]
    found = metrics.average_precision(true, scores)
    assert_allclose(found[present], expected, rtol=1e-12)
    assert math.isnan(found[2])
    assert metrics.mean_average_precision(true, scores) == pytest.approx(np.mean(expected))


def test_every_class_is_among_the_first_of_all() -> None:
    assert metrics.top_k_accuracy(*drawn(3), k=7) == 1.0


def test_average_precision_by_hand() -> None:
    true, scores = np.array([[1], [0], [1], [0]]), np.array([[0.9], [0.8], [0.7], [0.1]])
    assert metrics.mean_average_precision(true, scores) == pytest.approx((1 + 2 / 3) / 2)


def test_macro_scores_by_hand() -> None:
    """Classes 0 (3 of 4 right) and 1 (1 of 2 right); class 2 never occurs, nothing is predicted as 3."""
    true = np.array([0, 0, 0, 0, 1, 1])
    logits = np.eye(4)[[0, 0, 0, 1, 1, 2]]
    assert metrics.macro_accuracy(true, logits) == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert metrics.macro_f1(true, logits) == pytest.approx((6 / 7 + 2 / 4 + 0) / 3)
    assert_allclose(metrics.per_class_accuracy(true, logits), [0.75, 0.5, np.nan, np.nan])


def test_calibration_error_by_hand() -> None:
    """Ten clips at 0.8 of which six are right, ten at 0.6 of which six are: |0.6 - 0.8| / 2 + 0 / 2."""
    confidence = np.repeat([0.8, 0.6], 10)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    true = np.tile([0] * 6 + [1] * 4, 2)
    assert metrics.expected_calibration_error(true, probabilities) == pytest.approx(0.1)


def test_calibration_error_by_a_plain_loop() -> None:
    true, logits = drawn(1, 500)
    probabilities = metrics.softmax(2 * logits)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == true
    expected = 0.0
    for i in range(15):
        inside = (confidence > i / 15) & (confidence <= (i + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert metrics.expected_calibration_error(true, probabilities) == pytest.approx(expected)


def test_perfect_is_one_and_opposite_is_zero() -> None:
    true = np.arange(8) % 4
    perfect = np.eye(4)[true]
    for metric in (metrics.accuracy, metrics.macro_accuracy, metrics.macro_f1):
        assert metric(true, perfect) == 1.0
        assert metric(true, np.roll(perfect, 1, axis=1)) == 0.0
    assert metrics.mean_average_precision(perfect, perfect) == 1.0
    assert metrics.expected_calibration_error(true, perfect) == 0.0
    assert metrics.log_loss(true, perfect) == 0.0


def test_sure_and_wrong_costs_a_finite_loss() -> None:
    assert metrics.log_loss([0], [[0.0, 1.0]]) == pytest.approx(-math.log(np.finfo(float).eps))


def test_equal_logits_go_to_the_first_class() -> None:
    logits = np.zeros((4, 4))
    assert metrics.accuracy(np.arange(4), logits) == 0.25
    assert metrics.top_k_accuracy(np.arange(4), logits, k=1) == 0.25
    assert metrics.top_k_accuracy(np.arange(4), logits, k=3) == 0.75


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_clip_order_and_class_names_do_not_matter(seed: int) -> None:
    true, logits = drawn(seed)
    logits = logits + np.random.default_rng(seed).uniform(0, 0.01, logits.shape)
    rng = np.random.default_rng(seed + 1)
    clips, classes = rng.permutation(len(true)), rng.permutation(7)
    renamed = np.argsort(classes)[true]
    for metric in SINGLE:
        assert metric(true[clips], logits[clips]) == pytest.approx(metric(true, logits))
        assert metric(renamed, logits[:, classes]) == pytest.approx(metric(true, logits))
    hot = np.eye(7)[true]
    expected = metrics.mean_average_precision(hot, logits)
    assert metrics.mean_average_precision(hot[clips][:, classes], logits[clips][:, classes]) == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(shift=st.floats(-1000, 1000), seed=st.integers(0, 1000))
def test_softmax_ignores_a_shift_and_sums_to_one(shift: float, seed: int) -> None:
    _, logits = drawn(seed)
    assert_allclose(metrics.softmax(logits + shift), metrics.softmax(logits), rtol=1e-9)
    assert_allclose(metrics.softmax(logits).sum(axis=1), 1)


def test_sigmoid_is_the_logistic_function_without_overflow() -> None:
    logits = np.array([[-3.0, 0.0, 2.0], [-1e4, 1e4, 1.0]])
    expected = [[1 / (1 + math.e**3), 0.5, 1 / (1 + math.exp(-2))], [0, 1, 1 / (1 + math.exp(-1))]]
    assert_allclose(metrics.sigmoid(logits), expected, atol=1e-12)


@pytest.mark.parametrize("metric", SINGLE)
@pytest.mark.parametrize(
    ("true", "logits", "message"),
    [
        ([0, 1], [[0.0, 1.0]], "same clips"),
        ([0], [[0.0, math.nan]], "finite"),
        ([0, 1], [[0.0, 1.0], [math.inf, 0.0]], "row 1"),
        ([2], [[0.0, 1.0]], "0 … 1"),
        ([-1], [[0.0, 1.0]], "0 … 1"),
        ([0.0], [[0.0, 1.0]], "ints"),
        ([[0]], [[0.0, 1.0]], "one label a clip"),
        ([], np.zeros((0, 3)), "not empty"),
        ([0], [0.0, 1.0], "class"),
    ],
)
def test_wrong_input_is_refused(metric: Metric, true: Any, logits: Any, message: str) -> None:
    with pytest.raises(HearlessError, match=message):
        metric(true, logits)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(HearlessError, match="softmax"):
        metrics.log_loss([0], [[2.0, -1.0]])
    with pytest.raises(HearlessError, match="sum to 1"):
        metrics.expected_calibration_error([0], [[0.2, 0.2]])
    with pytest.raises(HearlessError, match="n_bins"):
        metrics.expected_calibration_error([0], [[0.5, 0.5]], n_bins=0)
    with pytest.raises(HearlessError, match="k must lie"):
        metrics.top_k_accuracy([0], [[0.5, 0.5]], k=3)
    with pytest.raises(HearlessError, match="n_classes"):
        metrics.confusion([0], [0], 0)
    with pytest.raises(HearlessError, match="same clips"):
        metrics.confusion([0, 1], [0], 2)
    with pytest.raises(HearlessError, match="one shape"):
        metrics.average_precision([[1, 0]], [[0.1]])
    with pytest.raises(HearlessError, match="0 and 1 only"):
        metrics.average_precision([[0.5]], [[0.1]])
    with pytest.raises(HearlessError, match="a positive"):
        metrics.mean_average_precision([[0, 0]], [[0.1, 0.2]])


def test_agreement_against_worked_values() -> None:
    teacher = [[0.9, 0.5, 0.1, 0.0], [0.2, 0.8, 0.3, 0.1]]
    model = [[0.7, 0.1, 0.6, 0.0], [0.9, 0.8, 0.3, 0.1]]
    assert metrics.first_class_agreement(teacher, model) == 0.5
    assert metrics.top_k_agreement(teacher, model, k=2) == pytest.approx((0.5 + 0.5) / 2)
    assert metrics.top_k_agreement(teacher, model, k=4) == 1.0
    assert metrics.first_class_agreement(teacher, teacher) == metrics.top_k_agreement(teacher, teacher, k=3) == 1.0


def test_published_kl_is_torchs_divided_by_the_classes() -> None:
    import torch

    teacher, model = np.random.default_rng(3).random((2, 6, 527))
    divergence = torch.nn.KLDivLoss(reduction="batchmean", log_target=True)
    files = zip(torch.from_numpy(teacher), torch.from_numpy(model), strict=True)
    each = [float(divergence((m + 1e-10).log(), (t + 1e-10).log())) for t, m in files]
    assert metrics.published_kl(teacher, model) == pytest.approx(np.mean(each))
    by_hand = np.sum(teacher[0] * np.log(teacher[0] / model[0])) / 527
    assert metrics.published_kl(teacher[:1], model[:1]) == pytest.approx(by_hand, abs=1e-8)
    assert metrics.published_kl(teacher, teacher) == 0.0


def test_agreement_refuses_what_does_not_fit() -> None:
    with pytest.raises(HearlessError, match="same clips and classes"):
        metrics.first_class_agreement(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(HearlessError, match=r"k must lie in 1 … 3 .*got 5"):
        metrics.top_k_agreement(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(HearlessError, match="apply `sigmoid`"):
        metrics.published_kl([[2.0, 0.1]], [[0.1, 0.1]])


def test_scores_of_several_labels_are_compared_with_the_share_of_hits() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((20000, 2))
    hits = (rng.random(scores.shape) < scores).astype(int)
    assert metrics.score_calibration_error(hits, scores) < 0.01
    assert metrics.score_calibration_error(np.zeros((4, 1)), np.full((4, 1), 0.3)) == pytest.approx(0.3)
    by_hand = sum(abs((scores - hits)[(scores > i / 5) & (scores <= (i + 1) / 5)].sum()) for i in range(5))
    assert metrics.score_calibration_error(hits, scores, n_bins=5) == pytest.approx(by_hand / hits.size)
    with pytest.raises(HearlessError, match="must have one shape and lie in 0 … 1"):
        metrics.score_calibration_error(hits, 2 * scores)
    with pytest.raises(HearlessError, match="n_bins must be 1 or more, got 0"):
        metrics.score_calibration_error(hits, scores, n_bins=0)
