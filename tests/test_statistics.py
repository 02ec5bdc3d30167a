from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats import contingency_tables, multitest
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_confint, proportion_effectsize

from hearless import metrics, statistics
from hearless.interfaces import HearlessError
from hearless.statistics import Measure, Paired


def alone(n_clips: int) -> list[str]:
    """Every clip its own recording."""
    return [f"clip{i}" for i in range(n_clips)]


def clustered(rng: np.random.Generator, n_recordings: int, each: int, mean: float) -> tuple[np.ndarray, list[int]]:
    """Correctness whose chance differs from recording to recording (beta) around ``mean``."""
    chance = rng.beta(2 * mean, 2 * (1 - mean), n_recordings)
    groups = np.repeat(np.arange(n_recordings), each)
    return (rng.uniform(size=n_recordings * each) < chance[groups]).astype(float), groups.tolist()


def scored(seed: int, n_recordings: int, n_classes: int = 6) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Labels and logits of two clips a recording."""
    rng = np.random.default_rng(seed)
    true = np.repeat(rng.permutation(np.arange(n_recordings) % n_classes), 2)
    shared = np.repeat(rng.normal(size=(n_recordings, n_classes)), 2, axis=0)
    groups = np.repeat(np.arange(n_recordings), 2).tolist()
    return true, rng.normal(size=shared.shape) + shared + 1.5 * np.eye(n_classes)[true], groups


def test_mean_interval_is_scipys_where_clips_stand_alone() -> None:
    values = np.random.default_rng(0).uniform(size=150)
    expected = reference.bootstrap((values,), np.mean, method="percentile", rng=1, n_resamples=20_000)
    found = statistics.mean_interval(values, alone(150), n_resamples=20_000)
    assert found.value == values.mean()
    assert found.n == 150
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.002)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=0.002)


def test_paired_difference_is_scipys_where_clips_stand_alone() -> None:
    rng = np.random.default_rng(3)
    a, b = (rng.uniform(size=200) < 0.7).astype(float), (rng.uniform(size=200) < 0.6).astype(float)
    expected = reference.bootstrap((a - b,), np.mean, method="percentile", rng=1, n_resamples=20_000)
    found = statistics.paired_bootstrap(a, b, alone(200), n_resamples=20_000)
    assert found.difference == pytest.approx(a.mean() - b.mean())
    assert found.standard_error == pytest.approx(expected.standard_error, rel=0.03)
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.006)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=0.006)
    assert found.p == pytest.approx(2 * reference.norm.sf(abs(found.difference) / expected.standard_error), abs=0.01)


@pytest.mark.parametrize("metric", [metrics.macro_f1, metrics.macro_accuracy])
def test_interval_is_a_plain_loops(metric: Callable[[Any, Any], float]) -> None:
    """Draw recordings one by one, join their clips, correct for bias as Efron (1981) writes it."""
    true, logits, groups = scored(1, 40)
    rng, sample = np.random.default_rng(9), []
    for _ in range(3000):
        clips = np.concatenate([2 * r + np.arange(2) for r in rng.integers(0, 40, 40)])
        sample.append(metric(true[clips], logits[clips]))
    value = metric(true, logits)
    shift = reference.norm.ppf(np.mean(np.array(sample) < value))
    levels = reference.norm.cdf(2 * shift + reference.norm.ppf([0.025, 0.975]))
    found = statistics.interval(metric, true, logits, groups, n_resamples=3000)
    assert found.value == value
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(sample, levels)), abs=0.012)


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_a_share_of_all_or_none_has_wilsons_interval_of_its_recordings(right: float) -> None:
    values, groups = np.full((2, 40), right), np.repeat(np.arange(10), 4).tolist()
    found = statistics.mean_interval(values, groups, share=True)
    low, high = proportion_confint(int(10 * right), 10, method="wilson")
    assert (found.value, found.n) == (right, 40)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    plain = statistics.mean_interval(values, groups)
    assert (plain.low, plain.high) == (right, right)
    assert math.isnan(statistics.mean_interval(values, [0] * 40, share=True).low)
    mixed = np.where(np.arange(40) < 1, 1 - right, right)
    assert statistics.mean_interval(mixed, groups, share=True) == statistics.mean_interval(mixed, groups)


def test_interval_of_accuracy_is_the_mean_interval() -> None:
    true, logits, groups = scored(2, 200)
    by_metric = statistics.interval(metrics.accuracy, true, logits, groups)
    by_mean = statistics.mean_interval(metrics.correct(true, logits), groups)
    assert by_metric.value == pytest.approx(by_mean.value)
    assert (by_metric.low, by_metric.high) == pytest.approx((by_mean.low, by_mean.high), abs=0.006)


def test_interval_serves_map_though_duplicates_flatter_it() -> None:
    true, logits, groups = scored(4, 60)
    hot = np.eye(6)[true]
    found = statistics.interval(metrics.mean_average_precision, hot, logits, groups, n_resamples=500)
    recordings = np.random.default_rng(0).integers(0, 60, (200, 60))
    flattered = [
        metrics.mean_average_precision(hot[i], logits[i])
        for i in ((2 * r[:, None] + np.arange(2)).ravel() for r in recordings)
    ]
    assert np.median(flattered) > found.value
    assert found.low < found.value < found.high
    assert found.value - found.low == pytest.approx(found.high - found.value, rel=0.5)


def test_interval_survives_draws_without_a_positive() -> None:
    """One positive recording in four is missing from a third of the draws."""
    true, scores = np.array([[1], [0], [0], [0]]), np.array([[0.5], [0.9], [0.1], [0.2]])
    found = statistics.interval(metrics.mean_average_precision, true, scores, alone(4), n_resamples=300)
    assert found.value == 0.5
    assert 0.25 <= found.low <= found.value <= found.high <= 1.0


def coverage(rng: np.random.Generator, *, aware: bool) -> float:
    """Share of 300 simulated sets whose interval holds the truth, 0.6."""
    hits = 0
    for seed in range(300):
        correct, groups = clustered(rng, 60, 4, 0.6)
        found = statistics.mean_interval(correct, groups if aware else alone(240), n_resamples=500, seed=seed)
        hits += found.low <= 0.6 <= found.high
    return hits / 300


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    assert 0.91 <= coverage(np.random.default_rng(5), aware=True) <= 0.98


def test_forgetting_the_recordings_would_promise_too_much() -> None:
    assert coverage(np.random.default_rng(5), aware=False) < 0.87


def test_two_equal_models_are_called_different_as_rarely_as_alpha_says() -> None:
    rng, found = np.random.default_rng(6), []
    for seed in range(300):
        chance = np.repeat(rng.beta(3, 2, 60), 3)
        a, b = ((rng.uniform(size=180) < chance).astype(float) for _ in range(2))
        groups = np.repeat(np.arange(60), 3).tolist()
        found.append(statistics.paired_bootstrap(a, b, groups, n_resamples=1000, seed=seed).p)
    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.09


def test_copies_within_a_recording_widen_the_interval_and_copies_of_it_do_not_narrow_it() -> None:
    values = (np.random.default_rng(1).uniform(size=120) < 0.6).astype(float)
    once = statistics.mean_interval(values, alone(120))
    copied = statistics.mean_interval(np.repeat(values, 5), np.repeat(np.arange(120), 5).tolist())
    naive = statistics.mean_interval(np.repeat(values, 5), alone(600))
    assert (copied.low, copied.high) == (once.low, once.high)
    assert copied.high - copied.low > 2 * (naive.high - naive.low)


def test_seeds_are_averaged_per_clip_and_are_no_further_clips() -> None:
    rng = np.random.default_rng(2)
    seeds = (rng.uniform(size=(3, 90)) < 0.5).astype(float)
    assert statistics.mean_interval(seeds, alone(90)) == statistics.mean_interval(seeds.mean(axis=0), alone(90))
    same = statistics.mean_interval(np.repeat(seeds[:1], 7, axis=0), alone(90))
    assert (same.low, same.high, same.n) == pytest.approx((*ends(statistics.mean_interval(seeds[0], alone(90))), 90))
    true, logits, groups = scored(3, 30)
    once = statistics.interval(metrics.macro_f1, true, logits, groups, n_resamples=200)
    assert statistics.interval(metrics.macro_f1, true, [logits] * 2, groups, n_resamples=200) == once


def ends(measure: Measure) -> tuple[float, float]:
    return measure.low, measure.high


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_swapping_the_models_flips_the_sign_and_keeps_p(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, groups = clustered(rng, 30, 3, 0.6)
    b, _ = clustered(rng, 30, 3, 0.5)
    there = statistics.paired_bootstrap(a, b, groups, n_resamples=500, seed=seed)
    back = statistics.paired_bootstrap(b, a, groups, n_resamples=500, seed=seed)
    assert back.difference == -there.difference
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-9)
    assert back.p == there.p
    assert 0 < there.p <= 1
    assert statistics.mcnemar(a, b) == statistics.mcnemar(b, a)


def test_no_difference_has_p_one() -> None:
    a = np.tile([1.0, 0.0, 1.0, 1.0], 10)
    same = statistics.paired_bootstrap(a, a, alone(40))
    assert (same.difference, same.low, same.high, same.p, same.standard_error) == (0, 0, 0, 1, 0)
    balanced = statistics.paired_bootstrap(a, np.tile([0.0, 1.0, 1.0, 1.0], 10), alone(40))
    assert (balanced.difference, balanced.p) == (0, 1)
    assert statistics.mcnemar(a, a) == 1.0


def test_the_p_value_agrees_with_the_interval() -> None:
    rng = np.random.default_rng(8)
    for seed in range(40):
        a, groups = clustered(rng, 40, 2, 0.6)
        b, _ = clustered(rng, 40, 2, 0.6)
        found = statistics.paired_bootstrap(a, b, groups, n_resamples=1999, seed=seed)
        if abs(found.p - 0.05) > 0.005:
            assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


def test_paired_metric_of_accuracy_is_the_paired_bootstrap() -> None:
    true, a, groups = scored(5, 60)
    _, b, _ = scored(6, 60)
    by_metric = statistics.paired_metric(metrics.accuracy, true, a, b, groups, n_resamples=500, seed=3)
    by_clip = statistics.paired_bootstrap(
        metrics.correct(true, a), metrics.correct(true, b), groups, n_resamples=500, seed=3
    )
    assert by_metric.difference == pytest.approx(by_clip.difference)
    assert (by_metric.low, by_metric.high, by_metric.p) == pytest.approx((by_clip.low, by_clip.high, by_clip.p))


def test_draws_come_from_the_seed_alone() -> None:
    values, groups = np.random.default_rng(0).normal(size=60), np.repeat(np.arange(30), 2).tolist()
    assert statistics.mean_interval(values, groups, seed=4) == statistics.mean_interval(values, groups, seed=4)
    assert ends(statistics.mean_interval(values, groups, seed=4)) != ends(
        statistics.mean_interval(values, groups, seed=5)
    )


def test_recordings_may_be_names_numbers_or_an_array() -> None:
    values, groups = clustered(np.random.default_rng(0), 30, 2, 0.5)
    expected = statistics.mean_interval(values, groups)
    assert statistics.mean_interval(values, np.array([f"r{group}" for group in groups])) == expected
    assert statistics.mean_interval(values, [("set", -group) for group in groups]) == expected


def test_840_clips_times_2000_take_well_under_a_second() -> None:
    values, groups = clustered(np.random.default_rng(0), 420, 2, 0.6)
    started = time.perf_counter()
    statistics.mean_interval(values, groups)
    assert time.perf_counter() - started < 1.0


def discordant(only_a: int, only_b: int, both: int = 5) -> tuple[list[int], list[int]]:
    """Correctness of two models with so many clips that only one gets right."""
    return [1] * only_a + [0] * only_b + [1] * both, [0] * only_a + [1] * only_b + [1] * both


def test_mcnemar_of_fagerland_2013() -> None:
    """Airway hyper-responsiveness: 1 and 7 discordant pairs, exact p .070, mid-p .039."""
    assert statistics.mcnemar(*discordant(1, 7)) == pytest.approx(0.0703125)
    assert statistics.mcnemar(*discordant(1, 7), mid_p=True) == pytest.approx(0.0390625)


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (3, 3), (1, 11), (40, 22), (150, 86)])
def test_mcnemar_is_scipys_sign_test(wins: int, losses: int) -> None:
    expected = reference.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert statistics.mcnemar(*discordant(wins, losses)) == pytest.approx(expected)


def test_mcnemar_combines_seeds_by_twice_the_median() -> None:
    a, b = discordant(1, 7)
    assert statistics.mcnemar([a] * 3, [b] * 3) == pytest.approx(2 * 0.0703125)
    assert statistics.twice_median([0.01, 0.5, 0.02]) == pytest.approx(0.04)
    assert statistics.twice_median([0.01, 0.02]) == pytest.approx(0.04)
    assert statistics.twice_median([0.9, 0.8, 0.1]) == 1.0


def test_twice_the_median_holds_under_dependence() -> None:
    """Under the null with strongly shared noise it must not reject more often than alpha."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4000, 1)) * 0.9 + rng.normal(size=(4000, 5)) * math.sqrt(1 - 0.81)
    combined = [statistics.twice_median(p) for p in 2 * reference.norm.sf(np.abs(z))]
    assert np.mean(np.array(combined) < 0.05) <= 0.05


def test_holm_of_the_textbook() -> None:
    """The four p-values of the usual worked example; R's p.adjust gives the same."""
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert statistics.holm([0.2]) == (0.2,)
    assert statistics.holm([0.9, 0.8]) == (1.0, 1.0)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_statsmodels(p_values: list[float]) -> None:
    expected = multitest.multipletests(p_values, method="holm")[1]
    assert statistics.holm(p_values) == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_statsmodels(wins: int, losses: int) -> None:
    expected = contingency_tables.mcnemar([[4, wins], [losses, 9]], exact=True).pvalue if wins + losses else 1.0
    assert statistics.mcnemar(*discordant(wins, losses)) == pytest.approx(expected)


@given(st.floats(0, 1), st.floats(0, 1))
def test_cohens_h_is_statsmodels(a: float, b: float) -> None:
    assert statistics.cohens_h(a, b) == pytest.approx(proportion_effectsize(a, b), abs=1e-12)


@pytest.mark.parametrize(("power", "alpha"), [(0.8, 0.05), (0.9, 0.01)])
def test_the_detectable_difference_is_statsmodels(power: float, alpha: float) -> None:
    """Of n clips whose difference has a deviation of 1, the standard error is 1 / √n."""
    found = statistics.minimum_detectable_difference(1 / math.sqrt(400), power=power, alpha=alpha)
    expected = NormalIndPower(ddof=0).solve_power(nobs1=400, alpha=alpha, power=power, ratio=0)
    assert found == pytest.approx(expected, rel=1e-3)


def test_cohens_h_of_the_book() -> None:
    assert statistics.cohens_h(0.5, 0.25) == pytest.approx(1.571 - 1.047, abs=1e-3)
    assert statistics.cohens_h(0.0, 1.0) == pytest.approx(-math.pi)
    assert statistics.cohens_h(0.3, 0.3) == 0


def test_the_detectable_difference_has_the_power_it_says() -> None:
    found = statistics.minimum_detectable_difference(0.01)
    assert found == pytest.approx(0.028016, abs=1e-5)
    estimates = np.random.default_rng(0).normal(found, 0.01, 20_000)
    assert np.mean(np.abs(estimates) > 0.01 * 1.959964) == pytest.approx(0.8, abs=0.01)


def test_words_say_what_was_found_and_what_would_have_been() -> None:
    found = Paired(0.023, -0.005, 0.051, 0.11, 0.0146, 0.662, 0.639, 840, 412)
    assert statistics.in_words(found, "CSSD", "fine-tuned") == (
        "CSSD against fine-tuned on 840 clips of 412 recordings: accuracy +2.3 points [-0.5, +5.1], p = 0.110: "
        "no evidence of a difference; a true difference of 4.1 points would be noticed four times in five."
    )


def test_words_of_one_test_among_many_want_more_to_notice() -> None:
    """The strictest of Holm's steps tests at a 24th of 5 %."""
    found = Paired(0.023, -0.005, 0.051, 0.11, 0.0146, 0.662, 0.639, 840, 412)
    alone = statistics.minimum_detectable_difference(0.0146)
    among = statistics.minimum_detectable_difference(0.0146, alpha=0.05 / 24)
    assert among > 1.3 * alone
    text = statistics.in_words(found, "A", "B", p_adjusted=1.0, n_tests=24)
    assert f"a true difference of {100 * among:.1f} points would be noticed four times in five, as one of 24" in text


def test_words_name_the_better_one_and_holm_decides() -> None:
    found = Paired(-0.04, -0.07, -0.01, 0.0004, 0.0146, 0.6, 0.64, 840, 412)
    assert "p < 0.001: evidence that B is better than A;" in statistics.in_words(found, "A", "B")
    text = statistics.in_words(found, "A", "B", metric="macro F1", p_adjusted=0.06)
    assert "macro F1 -4.0 points" in text
    assert "(p = 0.060 after Holm): no evidence" in text


def test_evidence_of_one_training_each_is_said_to_be_of_these_alone() -> None:
    found = Paired(-0.04, -0.07, -0.01, 0.0004, 0.0146, 0.6, 0.64, 840, 412)
    text = statistics.in_words(found, "A", "B", once=True)
    assert "evidence that B is better than A, of one training a fold: other seeds may say the opposite;" in text
    assert "training" not in statistics.in_words(found, "A", "B")
    assert "training" not in statistics.in_words(found, "A", "B", once=True, p_adjusted=0.3)


def test_trainings_that_contradict_each_other_give_no_verdict() -> None:
    groups = [f"r{n}" for n in range(40)]
    right = np.ones((2, 40))
    wrong = np.vstack([np.zeros(40), np.ones(40)])
    wrong[1, :3], right[1, :5] = 1.0, 0.0
    found = statistics.paired_bootstrap(wrong, right, groups)
    assert found.per_seed == (-1.0, 0.125)
    assert found.by_luck
    text = statistics.in_words(found, "TFE", "none")
    assert "no verdict, since the trainings contradict each other (-100.0, +12.5 points, seed by seed); more" in text
    assert "four times in five" not in text
    assert statistics.paired_bootstrap(wrong, right[0], groups).per_seed == ()
    assert not statistics.paired_bootstrap(np.zeros((2, 40)), right, groups).by_luck


def test_a_single_recording_has_a_value_but_no_interval_and_no_test() -> None:
    found = statistics.mean_interval([1.0, 0.0], ["r", "r"])
    assert found.value == 0.5
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    with pytest.raises(HearlessError, match="2 recordings"):
        statistics.paired_bootstrap([1.0, 0.0], [0.0, 0.0], ["r", "r"])


@pytest.mark.parametrize("n", [2, 3, 6, 12])
def test_few_recordings_that_all_agree_say_no_more_than_a_sign_test(n: int) -> None:
    groups = np.repeat(np.arange(n), 50)
    better = np.random.default_rng(0).random(len(groups)) < 0.9
    found = statistics.paired_bootstrap(better, np.zeros(len(groups)), groups)
    assert found.p == pytest.approx(max(reference.binomtest(n, n).pvalue, 2 / 10_001))


def test_wrong_input_is_refused() -> None:
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: statistics.mean_interval([1.0, math.nan], alone(2)), "NaN"),
        (lambda: statistics.mean_interval([], []), "not empty"),
        (lambda: statistics.mean_interval([1.0, 0.0], alone(3)), "one recording a clip"),
        (lambda: statistics.mean_interval([1.0, 0.0], alone(2), n_resamples=10), "n_resamples"),
        (lambda: statistics.mean_interval([1.0, 0.0], alone(2), confidence=95), "0.95"),
        (lambda: statistics.paired_bootstrap([1.0, 0.0], [1.0], alone(2)), "same clips"),
        (lambda: statistics.interval(metrics.accuracy, [0, 1], [[1.0, 0.0]], alone(2)), "of the clips of true"),
        (lambda: statistics.mcnemar([1, 0], [1]), "one shape"),
        (lambda: statistics.mcnemar([0.5, 0], [1, 0]), "0 or 1"),
        (lambda: statistics.holm([]), "0 … 1"),
        (lambda: statistics.holm([1.5]), "0 … 1"),
        (lambda: statistics.twice_median([math.nan]), "0 … 1"),
        (lambda: statistics.cohens_h(66.2, 50.0), "divide"),
        (lambda: statistics.minimum_detectable_difference(-1.0), "standard_error"),
        (lambda: Measure(math.inf), "finite"),
        (lambda: Measure(0.5, 0.7, 0.6), "low ≤ high"),
    ]
    for call, message in cases:
        with pytest.raises(HearlessError, match=message):
            call()


@pytest.mark.parametrize(("n_recordings", "error"), [(5, 0.1), (400, 0.0)])
def test_words_give_no_verdict_on_few_recordings_or_no_spread(n_recordings, error):
    found = Paired(0.3, 0.1, 0.5, 0.0001, error, 0.9, 0.6, 2 * n_recordings, n_recordings)
    text = statistics.in_words(found, "A", "B")
    assert "too few recordings to tell; at least 20" in text
    assert "evidence" not in text


def test_doubts_about_a_model_stand_behind_the_verdict() -> None:
    found = statistics.Paired(-0.4, -0.5, -0.3, 0.0002, 0.05, 0.3, 0.7, 60, 40)
    plain = statistics.in_words(found, "A", "B")
    text = statistics.in_words(found, "A", "B", doubts=["A was ill", "B too"])
    assert text == plain.replace("better than A;", "better than A, but A was ill, and B too;")
    assert text != plain
