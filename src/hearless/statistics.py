"""Intervals and paired tests that know which clips share a source recording.

Clips cut from one recording are no independent evidence, so a bootstrap here draws *recordings* with replacement,
each with all its clips (the cluster bootstrap; Davison & Hinkley, 1997, §3.8).  Several seeds of one recipe are no
further clips: what they say of a clip is averaged first (correctness) or scored apart and then averaged (any other
metric).  Every draw comes from ``seed``.  Values are fractions.

Means and differences have percentile intervals.  Other metrics have bias-corrected ones (Efron, 1981), because a clip
drawn twice flatters mAP and a class drawn rarely costs macro F1.  Where every clip is right, or none, resamples do not
differ: a share then has Wilson's interval (1927) of as many recordings, any other measure one without width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hearless.interfaces import HearlessError

Array = NDArray[Any]
Metric = Callable[[Array, Array], float]
"""``metric(true, scores) -> float``, as in `hearless.metrics`."""

Groups = Sequence[Hashable] | Array
"""The source recording of each clip, ``[clip]``: names or numbers."""


FEWEST_RECORDINGS = 20
"""Below this many source recordings a bootstrap says little: no verdict is given."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A value with its 95 % interval (NaN where unknown) and the number of clips behind it (0: not counted)."""

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            number = float(getattr(self, name))
            if math.isinf(number):
                raise HearlessError(f"{name} of a measure must be finite or NaN, got {number}.")
            object.__setattr__(self, name, math.nan if math.isnan(number) else number)
        if self.low > self.high or self.n < 0:
            raise HearlessError(f"a measure needs low ≤ high and n ≥ 0, got {self.low} … {self.high}, n={self.n}.")


@dataclass(frozen=True, slots=True)
class Paired:
    """What two models scored on the same clips: ``difference = value_a - value_b``, its interval and two-sided p.

    ``standard_error`` is the bootstrap's; ``n`` clips come from ``n_recordings`` recordings.  ``per_seed`` is the
    difference of each pair of trainings, where both models were trained with the same number of seeds, two or more.
    """

    difference: float
    low: float
    high: float
    p: float
    standard_error: float
    value_a: float
    value_b: float
    n: int
    n_recordings: int
    per_seed: tuple[float, ...] = ()

    @property
    def by_luck(self) -> bool:
        """True where one seed's trainings say the opposite of another's."""
        return bool(self.per_seed) and min(self.per_seed) < 0 < max(self.per_seed)


def interval(
    metric: Metric,
    true: ArrayLike,
    scores: ArrayLike,
    groups: Groups,
    *,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Measure:
    """Return a metric with its bootstrap interval.

    Args:
        metric: any function of ``(true, scores)``, such as `hearless.metrics.macro_f1`.
        true: ``[clip]`` or ``[clip, class]``.
        scores: ``[clip, class]``, or ``[seed, clip, class]``: the metric is then the mean over seeds.
        groups: ``[clip]``, the source recording of each clip.
        n_resamples: bootstrap draws.
        confidence: share of draws inside the interval.
        seed: of the draws.

    Raises:
        HearlessError: shapes that do not fit.  A single recording is no error: its interval is NaN.
    """
    labels, runs, recordings = _scored(true, scores, groups)
    draws = _draws(recordings, n_resamples, seed)
    value = _over_seeds(metric, labels, runs)
    sample = _each(metric, labels, runs, recordings, draws)
    return _measure(value, sample, recordings, confidence, shift=_bias(value, sample))


def mean_interval(
    values: ArrayLike,
    groups: Groups,
    *,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    share: bool = False,
) -> Measure:
    """Return the mean of a value per clip with its interval: accuracy, given each clip's correctness.

    ``values`` are ``[clip]`` or ``[seed, clip]`` (averaged over seeds first); all resamples at once, so fast.  Where
    they say what ``share`` of the clips is right and all are, or none, the interval is Wilson's, of the recordings.
    """
    clip_values = _per_clip("values", values)
    recordings = _recordings(groups, len(clip_values))
    if share and recordings.max() > 0 and np.all(clip_values == clip_values[0]) and clip_values[0] in (0, 1):
        return _all_or_none(clip_values, int(recordings.max()) + 1, confidence)
    draws = _draws(recordings, n_resamples, seed)
    return _measure(float(clip_values.mean()), _means(clip_values, recordings, draws), recordings, confidence)


def _all_or_none(values: Array, n_recordings: int, confidence: float) -> Measure:
    """Return a share of 0 or 1 with Wilson's interval, recordings taken for the trials."""
    from scipy.stats import binomtest

    right = n_recordings if values[0] else 0
    low, high = binomtest(right, n_recordings).proportion_ci(confidence, method="wilson")
    return Measure(float(values[0]), float(low), float(high), len(values))


def paired_bootstrap(
    correct_a: ArrayLike,
    correct_b: ArrayLike,
    groups: Groups,
    *,
    n_resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Paired:
    """Compare two models on the same clips by the mean of a value per clip; both are resampled alike.

    Args:
        correct_a: ``[clip]`` or ``[seed, clip]`` correctness (0 … 1); seeds are averaged per clip.
        correct_b: the same clips in the same order; the number of seeds may differ.
        groups: ``[clip]``, the source recording of each clip.
        n_resamples: bootstrap draws.
        confidence: share of draws inside the interval.
        seed: of the draws.

    Raises:
        HearlessError: clips that do not match, or a single recording.
    """
    a, b = _per_clip("correct_a", correct_a), _per_clip("correct_b", correct_b)
    if len(a) != len(b):
        raise HearlessError(f"correct_a and correct_b must be of the same clips, got {len(a)} and {len(b)}.")
    recordings = _recordings(groups, len(a))
    draws = _draws(recordings, n_resamples, seed)
    found = _paired(float(a.mean()), float(b.mean()), _means(a - b, recordings, draws), recordings, confidence)
    return replace(found, per_seed=_per_seed(correct_a, correct_b))


def _per_seed(correct_a: ArrayLike, correct_b: ArrayLike) -> tuple[float, ...]:
    """Return the difference of each seed, where both have the same number of them, two or more."""
    a, b = np.asarray(correct_a, dtype=np.float64), np.asarray(correct_b, dtype=np.float64)
    if a.ndim != 2 or a.shape != b.shape or len(a) < 2:
        return ()
    return tuple(round(float(one), 12) for one in (a - b).mean(axis=1))


def paired_metric(
    metric: Metric,
    true: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    groups: Groups,
    *,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Paired:
    """Compare two models by any metric (macro F1, mAP): arguments as in `interval`, resampled alike."""
    labels, a, recordings = _scored(true, scores_a, groups)
    _, b, _ = _scored(true, scores_b, groups)
    draws = _draws(recordings, n_resamples, seed)
    value_a, value_b = _over_seeds(metric, labels, a), _over_seeds(metric, labels, b)
    sample = _each(metric, labels, a, recordings, draws) - _each(metric, labels, b, recordings, draws)
    return _paired(value_a, value_b, sample, recordings, confidence)


def mcnemar(correct_a: ArrayLike, correct_b: ArrayLike, *, mid_p: bool = False) -> float:
    """Return the exact two-sided p of McNemar's test: are the clips that only one gets right split evenly?

    Counts add over the folds of a cross-validation (their test clips differ), so give all folds' clips at once.
    With ``[seed, clip]`` each seed is tested and `twice_median` combines them.  Clips count as independent
    here; where recordings give many clips each, trust `paired_bootstrap`.

    Args:
        correct_a: ``[clip]`` or ``[seed, clip]``, 0 or 1.
        correct_b: same shape.
        mid_p: count half of the probability of what was seen (less conservative; Fagerland et al., 2013).
    """
    a, b = np.atleast_2d(np.asarray(correct_a)), np.atleast_2d(np.asarray(correct_b))
    if a.shape != b.shape or a.ndim != 2 or a.size == 0:
        raise HearlessError(f"correct_a and correct_b must have one shape [clip], got {a.shape} and {b.shape}.")
    if not (np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all()):
        raise HearlessError("McNemar's test needs 0 or 1 per clip; give seeds apart as [seed, clip], not averaged.")
    only_a, only_b = ((a == 1) & (b == 0)).sum(axis=1), ((a == 0) & (b == 1)).sum(axis=1)
    return twice_median([_sign_test(int(x), int(y), mid_p) for x, y in zip(only_a, only_b, strict=True)])


def _sign_test(wins: int, losses: int, mid_p: bool) -> float:
    """Return the exact binomial p of ``wins`` against ``losses`` at even odds."""
    from scipy.stats import binom

    n, fewer = wins + losses, min(wins, losses)
    p = 2 * binom.cdf(fewer, n, 0.5) - (binom.pmf(fewer, n, 0.5) if mid_p else 0.0)
    return float(min(1.0, p))


def twice_median(p_values: Sequence[float]) -> float:
    """Combine p-values that may depend on each other (seeds on the same clips): twice the median (Rüger, 1978).

    A single p-value is returned as it is.  The lower of two middle ones never counts alone: the upper is taken.
    """
    values = np.sort(_p_values(p_values))
    return float(values[0] if len(values) == 1 else min(1.0, 2 * values[len(values) // 2]))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values adjusted for their number by Holm's step-down rule (1979), in the order given."""
    values = _p_values(p_values)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return tuple(float(p) for p in adjusted)


def cohens_h(share_a: float, share_b: float) -> float:
    """Return the effect size of two shares (Cohen, 1988): about 0.2 is small, 0.5 medium, 0.8 large."""
    if not (0 <= share_a <= 1 and 0 <= share_b <= 1):
        raise HearlessError(f"shares must lie in 0 … 1, got {share_a} and {share_b}; divide percentages by 100.")
    return 2 * (math.asin(math.sqrt(share_a)) - math.asin(math.sqrt(share_b)))


def minimum_detectable_difference(standard_error: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the difference that a two-sided test at ``alpha`` would show with probability ``power`` (normal)."""
    from scipy.special import ndtri

    if not (standard_error >= 0 and 0 < power < 1 and 0 < alpha < 1):
        raise HearlessError(
            f"standard_error must be ≥ 0, power and alpha in (0, 1), got {standard_error}, {power}, {alpha}."
        )
    return float((ndtri(1 - alpha / 2) + ndtri(power)) * standard_error)


def in_words(
    paired: Paired,
    name_a: str,
    name_b: str,
    *,
    metric: str = "accuracy",
    p_adjusted: float | None = None,
    n_tests: int = 1,
    alpha: float = 0.05,
    doubts: Sequence[str] = (),
    once: bool = False,
) -> str:
    """Say a comparison in one plain sentence; ``p_adjusted`` (Holm's, of ``n_tests``) decides where it is given.

    The difference that would be noticed is that of the strictest of Holm's steps, ``alpha / n_tests``.
    Intervals and p resample recordings of the trainings at hand.  Where these contradict each other, seed by seed, no
    verdict on the method is given; where each was trained ``once`` a fold, evidence is of these trainings alone.
    ``doubts`` are said behind the verdict: that a model compared never learned.
    """
    p = paired.p if p_adjusted is None else p_adjusted
    adjusted = "" if p_adjusted is None else f" ({_p_text(p_adjusted)} after Holm)"
    better, worse = (name_a, name_b) if paired.difference > 0 else (name_b, name_a)
    verdict = f"evidence that {better} is better than {worse}" if p < alpha else "no evidence of a difference"
    detectable = 100 * minimum_detectable_difference(paired.standard_error, alpha=alpha / n_tests)
    limit = f"a true difference of {detectable:.1f} points would be noticed four times in five"
    limit += f", as one of {n_tests} tests" if n_tests > 1 else ""
    if p < alpha and once:
        verdict += ", of one training a fold: other seeds may say the opposite"
    if p < alpha and paired.by_luck:
        each = ", ".join(f"{100 * one:+.1f}" for one in paired.per_seed)
        verdict = f"no verdict, since the trainings contradict each other ({each} points, seed by seed)"
        limit = "more seeds are needed, for p and the interval know nothing of this luck"
    if paired.n_recordings < FEWEST_RECORDINGS or paired.standard_error == 0:
        verdict, limit = "too few recordings to tell", f"at least {FEWEST_RECORDINGS} that differ are needed"
    verdict += "".join(f", but {doubt}" if i == 0 else f", and {doubt}" for i, doubt in enumerate(doubts))
    return (
        f"{name_a} against {name_b} on {paired.n} clips of {paired.n_recordings} recordings: {metric} "
        f"{100 * paired.difference:+.1f} points [{100 * paired.low:+.1f}, {100 * paired.high:+.1f}], "
        f"{_p_text(paired.p)}{adjusted}: {verdict}; {limit}."
    )


def _p_text(p: float) -> str:
    """Return a p-value as text."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _p_values(values: Sequence[float]) -> Array:
    """Return p-values as an array; refuse none at all and what is no probability."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not ((array >= 0) & (array <= 1)).all():
        raise HearlessError(f"p-values must be a list of numbers in 0 … 1, got {values!r}.")
    return array


def _per_clip(name: str, values: ArrayLike) -> Array:
    """Return one number a clip from ``[clip]`` or ``[seed, clip]``."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2) or array.size == 0 or not np.isfinite(array).all():
        raise HearlessError(
            f"{name} must be finite [clip] or [seed, clip], not empty; got shape {array.shape}"
            f"{'' if np.isfinite(array).all() else ' with NaN or infinity'}."
        )
    return array if array.ndim == 1 else array.mean(axis=0)


def _scored(true: ArrayLike, scores: ArrayLike, groups: Groups) -> tuple[Array, Array, Array]:
    """Return labels, scores ``[seed, clip, class]`` and recordings of the same clips."""
    labels, runs = np.asarray(true), np.asarray(scores, dtype=np.float64)
    runs = runs[None] if runs.ndim == 2 else runs
    if runs.ndim != 3 or runs.size == 0 or labels.ndim == 0 or runs.shape[1] != len(labels):
        raise HearlessError(
            f"scores must be [clip, class] or [seed, clip, class] of the clips of true, got {np.shape(scores)} "
            f"and {labels.shape}."
        )
    return labels, runs, _recordings(groups, len(labels))


def _recordings(groups: Groups, n_clips: int) -> Array:
    """Return each clip's recording as an index ``[clip]``, numbered as they come."""
    if len(groups) != n_clips:
        raise HearlessError(f"groups must name one recording a clip, got {len(groups)} for {n_clips} clips.")
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups])


def _draws(recordings: Array, n_resamples: int, seed: int) -> Array:
    """Return how often each recording is drawn: ints ``[resample, recording]``, each row summing to their number."""
    if n_resamples < 100:
        raise HearlessError(f"n_resamples must be 100 or more for an interval, got {n_resamples}.")
    n = int(recordings.max()) + 1
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_resamples)


def _means(values: Array, recordings: Array, draws: Array) -> Array:
    """Return the mean of a value per clip in every resample at once."""
    sums, clips = np.bincount(recordings, values), np.bincount(recordings)
    return np.round((draws @ sums) / (draws @ clips), 12)


def _resampled(recordings: Array, draws: Array) -> Iterator[Array]:
    """Yield the clip indices of each resample."""
    clips = np.arange(len(recordings))
    for draw in draws:
        yield np.repeat(clips, draw[recordings])


def _over_seeds(metric: Metric, true: Array, runs: Array) -> float:
    """Return the mean over seeds of a metric."""
    return float(np.mean([metric(true, run) for run in runs]))


def _each(metric: Metric, true: Array, runs: Array, recordings: Array, draws: Array) -> Array:
    """Return the metric of every resample, NaN where the metric refuses it (no positive was drawn)."""
    values = []
    for index in _resampled(recordings, draws):
        try:
            values.append(_over_seeds(metric, true[index], runs[:, index]))
        except HearlessError:
            values.append(math.nan)
    return np.round(values, 12)


def _bias(value: float, sample: Array) -> float:
    """Return how many normal deviations a value lies above the median of its resamples, ties counting half."""
    from scipy.special import ndtri

    value, known = round(value, 12), sample[~np.isnan(sample)]
    below = (np.sum(known < value) + 0.5 * np.sum(known == value) + 0.5) / (len(known) + 1)
    return float(ndtri(below))


def _bounds(sample: Array, confidence: float, shift: float = 0.0) -> tuple[float, float]:
    """Return the percentile interval of a sample, its two levels moved by twice the ``shift`` of `_bias`."""
    from scipy.special import ndtr, ndtri

    if not 0 < confidence < 1:
        raise HearlessError(f"confidence must lie between 0 and 1, got {confidence}; 0.95 is usual.")
    tail = ndtri((1 - confidence) / 2)
    low, high = np.nanquantile(sample, ndtr(2 * shift + np.array([tail, -tail])))
    return float(low), float(high)


def _measure(value: float, sample: Array, recordings: Array, confidence: float, shift: float = 0.0) -> Measure:
    """Return a value with the interval of its resamples; none where there is one recording."""
    low, high = _bounds(sample, confidence, shift) if recordings.max() > 0 else (math.nan, math.nan)
    return Measure(value, low, high, len(recordings))


def _paired(value_a: float, value_b: float, sample: Array, recordings: Array, confidence: float) -> Paired:
    """Return the comparison of two values whose resampled difference is ``sample``.

    The p-value inverts the interval: twice the smaller share of draws on either side of zero, one draw added to
    each; exactly no difference has p = 1.  Of n recordings it is at least 2 ** (1 - n), what a sign test says where all
    of them agree: resamples of two or three recordings hardly differ, whatever the next recording would have shown.
    """
    n_recordings = int(recordings.max()) + 1
    if n_recordings < 2:
        raise HearlessError("a paired test needs 2 recordings or more, got 1; name each clip's own source recording.")
    sample = sample[~np.isnan(sample)]
    difference = round(value_a - value_b, 12)
    tail = min((sample <= 0).sum(), (sample >= 0).sum())
    p = 1.0 if difference == 0 else min(1.0, max(float(2 * (tail + 1) / (len(sample) + 1)), 2.0 ** (1 - n_recordings)))
    low, high = _bounds(sample, confidence)
    return Paired(
        difference, low, high, p, float(sample.std(ddof=1)), value_a, value_b, len(recordings), n_recordings
    )  # fmt: skip
