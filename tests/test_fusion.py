"""Fusing teachers: equation 4 against scikit-learn and scipy, laws, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, log_softmax

from hearless import fusion
from hearless.interfaces import HearlessError

RNG = np.random.default_rng(0)
N, CLASSES = 300, 4
TRUE = RNG.integers(CLASSES, size=N)
TARGET = np.eye(CLASSES)[TRUE]


def teachers(noise: tuple[float, ...], gain: float = 2.0) -> np.ndarray:
    """Logits of teachers that see the true class through noise."""
    return np.stack([gain * TARGET + spread * RNG.standard_normal((N, CLASSES)) for spread in noise])


def cross_entropy(z: np.ndarray) -> float:
    return float(-(TARGET * log_softmax(z, axis=1)).sum(1).mean())


def test_the_mean_is_the_start() -> None:
    each = teachers((1.0, 2.0, 3.0))
    made = fusion.mean_of(3, CLASSES)
    np.testing.assert_allclose(made(each), each.mean(0), rtol=1e-5, atol=1e-6)
    assert fusion.fitted(each, TARGET).loss_of_mean == pytest.approx(cross_entropy(each.mean(0)), rel=1e-9)


def test_equation_4_term_by_term() -> None:
    each = teachers((1.0, 2.0)).astype(np.float16)
    made = fusion.Fusion((0.5, -2.0), (0.1, 0.2, 0.3, 0.4))
    for clip, label in ((0, 0), (7, 3)):
        expected = 0.5 * float(each[0, clip, label]) - 2.0 * float(each[1, clip, label]) + made.beta[label]
        assert float(made(each)[clip, label]) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert made(each).dtype == np.float32
    np.testing.assert_allclose(made(each[:, None])[0], made(each))  # any leading axes


@pytest.mark.parametrize("multi_label", [False, True])
def test_it_is_the_least_cross_entropy(multi_label: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the least the slope is 0 in every direction; numerical slopes, not ours."""
    monkeypatch.setattr(fusion, "RIDGE", 0.0)
    each = teachers((2.0, 3.0, 6.0))
    target = (RNG.random((N, CLASSES)) < expit(each[0])).astype(float) if multi_label else TARGET

    def loss(made: fusion.Fusion) -> float:
        z = made(each).astype(np.float64)
        if multi_label:
            return float(-(target * np.log(expit(z)) + (1 - target) * np.log(expit(-z))).mean())
        return cross_entropy(z)

    made = fusion.fitted(each, target, multi_label=multi_label)
    assert loss(made) == pytest.approx(made.loss, rel=1e-4)
    assert made.loss < made.loss_of_mean
    for place in range(3 + CLASSES):
        for step in (-0.02, 0.02):
            moved = np.array([*made.alpha, *made.beta])
            moved[place] += step
            assert loss(fusion.Fusion(tuple(moved[:3]), tuple(moved[3:]))) > made.loss - 1e-7


def test_two_classes_are_scikit_learns_logistic_regression(monkeypatch: pytest.MonkeyPatch) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    monkeypatch.setattr(fusion, "RIDGE", 0.0)
    true = RNG.integers(2, size=N)
    each = RNG.standard_normal((2, N, 2)) + np.eye(2)[true]
    made = fusion.fitted(each, np.eye(2)[true])
    model = linear_model.LogisticRegression(C=1e12, tol=1e-10, max_iter=5000)
    model.fit((each[..., 1] - each[..., 0]).T, true)
    np.testing.assert_allclose(made.alpha, model.coef_[0], atol=2e-3)
    assert made.beta[1] - made.beta[0] == pytest.approx(model.intercept_[0], abs=2e-3)


def test_a_good_teacher_outweighs_a_poor_one_and_loud_ones_are_calmed() -> None:
    made = fusion.fitted(teachers((1.0, 8.0)), TARGET)
    assert made.alpha[0] > 5 * abs(made.alpha[1])
    loud = fusion.fitted(10.0 * teachers((2.0, 2.0)), TARGET)
    assert max(loud.alpha) < 0.2


def test_teachers_without_an_error_keep_finite_weights() -> None:
    made = fusion.fitted(teachers((0.01,) * 3), TARGET)
    assert np.isfinite([*made.alpha, *made.beta]).all()
    assert max(made.alpha) < 20
    assert sum(made.beta) == pytest.approx(0.0, abs=1e-6)  # a shift of all classes says nothing


def test_it_goes_into_json() -> None:
    said = fusion.fitted(teachers((1.0, 1.0)), TARGET).to_json()
    assert set(said) == {"alpha", "beta", "n_clips", "loss", "loss_of_mean"}
    assert (len(said["alpha"]), len(said["beta"]), said["n_clips"]) == (2, CLASSES, N)


@pytest.mark.parametrize(
    ("each", "target", "said"),
    [
        (np.zeros((2, 3)), np.zeros((3, 1)), r"need logits \[teacher, clip, class\]"),
        (np.zeros((2, 0, 3)), np.zeros((0, 3)), "need logits"),
        (np.zeros((2, 3, 4)), np.zeros((3, 5)), r"got \(2, 3, 4\) and \(3, 5\)"),
        (np.full((1, 2, 2), np.inf), np.eye(2), "finite logits"),
    ],
)
def test_what_cannot_be_fitted_is_said(each: np.ndarray, target: np.ndarray, said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        fusion.fitted(each, target)


def test_other_teachers_are_refused() -> None:
    with pytest.raises(HearlessError, match="takes 2 teachers of 4 classes, got 3 of 4"):
        fusion.mean_of(2, 4)(np.zeros((3, 1, 4)))
    with pytest.raises(HearlessError, match="got 2 of 5"):
        fusion.mean_of(2, 4)(np.zeros((2, 1, 5)))
