"""Temperature, thresholds and none of these, against searches by hand, scikit-learn and laws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import f1_score, log_loss

from hearless.calibration import (
    Calibration,
    best_thresholds,
    fit,
    named,
    noises,
    none_below,
    scores,
    temperature,
)
from hearless.interfaces import HearlessError


def drawn(n: int, n_classes: int = 4, factor: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return classes drawn from the softmax of logits, and these logits times a factor."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((n, n_classes))
    labels = [rng.choice(n_classes, p=row) for row in softmax(logits, axis=1)]
    return np.eye(n_classes)[labels], factor * logits


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_the_temperature_that_logits_were_scaled_by_is_found(factor: float) -> None:
    true, logits = drawn(4000, factor=factor)
    assert temperature(true, logits, multi_label=False) == pytest.approx(factor, rel=0.08)


def test_no_other_temperature_has_a_lower_loss() -> None:
    true, logits = drawn(2000, factor=3.0)
    best = temperature(true, logits, multi_label=False)
    tried = np.geomspace(0.2, 15, 400)
    losses = [log_loss(true.argmax(1), softmax(logits / t, axis=1)) for t in tried]
    assert best == pytest.approx(tried[np.argmin(losses)], rel=0.03)  # Platt's targets move it a little
    rng = np.random.default_rng(1)
    z = rng.standard_normal((3000, 3))
    hits = (rng.random(z.shape) < expit(z)).astype(float)
    assert temperature(hits, 2.5 * z, multi_label=True) == pytest.approx(2.5, rel=0.08)


def test_scaled_logits_have_a_scaled_temperature_and_the_order_of_clips_has_no_part() -> None:
    true, logits = drawn(60)
    best = temperature(true, logits, multi_label=False)
    assert temperature(true, 2 * logits, multi_label=False) == pytest.approx(2 * best, rel=1e-4)
    assert temperature(true[::-1], logits[::-1], multi_label=False) == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_few_clips_that_are_all_right_make_nobody_certain(multi_label: bool) -> None:
    true = np.eye(3)[np.arange(12) % 3]
    best = temperature(true, 10 * true - 5, multi_label=multi_label)
    made = scores(10 * true - 5, best, multi_label=multi_label)
    assert made[true > 0] == pytest.approx(13 / 14, abs=1e-4)


def test_thresholds_are_those_of_the_best_f1() -> None:
    rng = np.random.default_rng(2)
    true = (rng.random((80, 3)) < [0.5, 0.2, 0.05]).astype(int)
    said = np.round(expit(rng.standard_normal(true.shape) + 1.5 * true), 2)  # with ties
    for i, threshold in enumerate(best_thresholds(true, said)):
        tried = [f1_score(true[:, i], said[:, i] >= t) for t in np.linspace(0, 1, 1001)]
        assert f1_score(true[:, i], said[:, i] >= threshold) == max(tried)
        assert threshold not in said[:, i]
    assert best_thresholds([[0], [0]], [[0.1], [0.9]]) == [0.5]
    assert best_thresholds([[1], [1]], [[0.2], [0.9]]) == [0.1]
    assert best_thresholds([[1], [0]], [[0.8], [0.2]]) == [0.5]


def test_95_of_100_clips_pass() -> None:
    true, logits = drawn(400, n_classes=5)
    found = fit(true, logits, multi_label=False)
    passed = named(
        scores(logits, found.temperature, multi_label=False), multi_label=False, none_below=found.none_below
    ).any(1)
    assert passed.sum() in (380, 381)
    assert found.thresholds == ()
    assert none_below([[0.5, 0.5], [0.1, 0.9]], passing=1) == 0.5


def test_the_best_is_named_or_none_and_several_by_their_thresholds() -> None:
    said = np.array([[0.6, 0.4], [0.45, 0.55], [0.5, 0.5]])
    one = named(said, multi_label=False, none_below=0.55)
    np.testing.assert_array_equal(one, [[True, False], [False, True], [False, False]])
    np.testing.assert_array_equal(named(said, multi_label=False).sum(1), [1, 1, 1])
    many = Calibration(thresholds=(0.45, 0.5)).named(said, multi_label=True)
    np.testing.assert_array_equal(many, [[True, False], [True, True], [True, True]])
    np.testing.assert_array_equal(named(said, multi_label=True), said >= 0.5)


def test_calibrated_float32_scores_pass_their_own_threshold() -> None:
    true, logits = drawn(50)
    found = fit(true, logits, multi_label=False)
    made = scores(logits, found.temperature, multi_label=False)
    lowest = made[np.isclose(made.max(1), found.none_below)]
    assert found.named(lowest.astype(np.float32), multi_label=False).any()


def test_noises_are_as_loud_and_as_steep_as_said() -> None:
    made = noises(16000)
    assert not made.pop("silence").any()
    for name, fall_db in {"white": 0.0, "pink": 3.0, "brown": 6.0}.items():
        level_db = 10 * np.log10((made[name].astype(float) ** 2).mean(1))
        np.testing.assert_allclose(level_db, [-20, -40, -60], atol=0.01)
        power = (np.abs(np.fft.rfft(made[name][0].astype(float))) ** 2)[100:6400]
        octaves = [10 * np.log10(part.mean()) for part in np.split(power, [100, 300, 700, 1500, 3100])]
        assert -np.mean(np.diff(octaves)) == pytest.approx(fall_db, abs=0.6)
    np.testing.assert_array_equal(noises(100)["pink"], noises(100)["pink"])
    assert (noises(100)["pink"] != noises(100, seed=1)["pink"]).any()


def test_wrong_input_is_refused() -> None:
    true, logits = drawn(5)
    for pair in ((true[:4], logits), (true[:0], logits[:0]), (true[0], logits[0])):
        with pytest.raises(HearlessError, match=r"must be \[clip, class\] of one shape and not empty"):
            fit(*pair, multi_label=False)
    for pair in ((true, logits * np.nan), (true * 0.5, logits)):
        with pytest.raises(HearlessError, match="logits must be finite and true 0 or 1"):
            fit(*pair, multi_label=True)
    with pytest.raises(HearlessError, match="passing must lie above 0"):
        none_below(logits, 0)
    with pytest.raises(HearlessError, match="temperature must be a number above 0, got 0"):
        Calibration(0)
    with pytest.raises(HearlessError, match="must be scores from 0 to 1"):
        Calibration(none_below=1.5)
