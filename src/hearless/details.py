"""What a study tells beside its table, where it asks for it: where a difference lies, and how sure rows are.

Differences per fold and class are paired like those of the whole table, each with an interval of its own; nobody
corrects for their number, so of twenty classes about one leaves 0 outside by chance, and the notes say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hearless import metrics
from hearless.evaluate import Evaluated, correctness, on_same_clips
from hearless.plural import plural
from hearless.report import Comparison, Report, Row
from hearless.run import Predictions
from hearless.statistics import Measure, mean_interval
from hearless.study import Study

UNITS = {"entropy": "nats", "teaching_entropy": "nats"}
Heard = Mapping[tuple[str, int], Predictions]
"""Predictions by (fold, seed)."""


def detailed(
    report: Report, study: Study, rows: Sequence[Evaluated], labels: Sequence[str],
    taught: Mapping[str, Heard] | None = None,
) -> Report:  # fmt: skip
    """Return a report with what its study wants told beside.

    Args:
        report: its table.
        study: says what (`hearless.study.ALSO`).
        rows: what every row predicts.
        labels: the classes.
        taught: by row's label, what it says of the clips it was trained on, for ``teaching_entropy``.

    Returns:
        The report; with nothing but a note to say so where clips have several classes or a teacher's.
    """
    if report.columns[0] != "accuracy":
        return replace(report, notes=(*report.notes, f"Not told here, as it takes one class a clip: {_words(study)}."))
    by_label = {done.row.label: done for done in rows}
    tests = tuple(_of_pair(test, study, by_label, labels) for test in report.tests)
    sure = [name for name in ("entropy", "teaching_entropy", "ece_raw") if name in study.also]
    lines = tuple(_of_row(row, sure, by_label[row.label], (taught or {}).get(row.label, {})) for row in report.rows)
    said = [sentence for test in tests for sentence in (*_per_fold(test), *_per_class(test))]
    return replace(
        report, rows=lines, tests=tests, columns=(*report.columns, *sure), notes=(*report.notes, *said),
        units={**report.units, **{name: UNITS[name] for name in sure if name in UNITS}},
    )  # fmt: skip


def _words(study: Study) -> str:
    return ", ".join(study.also).replace("_", " ")


def _of_pair(test: Comparison, study: Study, by_label: Mapping[str, Evaluated], labels: Sequence[str]) -> Comparison:
    a, b = by_label[test.name_a], by_label[test.name_b]
    agreement = same_answers(a, b) if "agreement" in study.also else None
    per_fold = gains_by_fold(a, b) if "fold" in study.also else {}
    per_class = gains_by_class(a, b, labels) if "class" in study.also else {}
    return replace(test, agreement=agreement, per_fold=per_fold, per_class=per_class)


def same_answers(a: Evaluated, b: Evaluated) -> Measure:
    """Return the share of clips of which two rows, seed by seed, say the same class."""
    first, second = on_same_clips(a, b)
    return mean_interval(first.logits.argmax(-1) == second.logits.argmax(-1), first.groups)


def gains_by_class(a: Evaluated, b: Evaluated, labels: Sequence[str]) -> dict[str, Measure]:
    """Return how much more of each class the first row gets right, in the classes' order."""
    first, second = on_same_clips(a, b)
    gain, true = _gain(first, second), first.true.argmax(1)
    return {
        label: mean_interval(gain[true == number], first.groups[true == number])
        for number, label in enumerate(labels) if (true == number).any()
    }  # fmt: skip


def gains_by_fold(a: Evaluated, b: Evaluated) -> dict[str, Measure]:
    """Return how much more of each fold's clips the first row gets right."""
    found = {}
    for fold in (fold for fold in a.folds if fold in b.folds):
        one, other = (replace(row, found={k: v for k, v in row.found.items() if k[0] == fold}) for row in (a, b))
        first, second = on_same_clips(one, other)
        found[fold] = mean_interval(_gain(first, second), first.groups)
    return found


def _gain(first: Predictions, second: Predictions) -> NDArray[np.float64]:
    """Return the mean over seeds of right less right, ``[clip]``."""
    gain: NDArray[np.float64] = correctness(first).mean(0) - correctness(second).mean(0)
    return gain


def entropies(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how unsure logits ``[…, class]`` are: the entropy of their softmax in nats, ``[…]``; 0 is certain."""
    shares = metrics.softmax(logits.reshape(-1, logits.shape[-1]))
    each: NDArray[np.float64] = -(shares * np.log(np.maximum(shares, np.finfo(np.float64).tiny))).sum(-1)
    return each.reshape(logits.shape[:-1])


def calibration_error(pooled: Predictions) -> Measure:
    """Return the mean over seeds of the expected calibration error.

    Without an interval: a resampled error is a larger one, so the resamples would not hold it.
    """
    true = pooled.true.argmax(1)
    each = [metrics.expected_calibration_error(true, metrics.softmax(run)) for run in pooled.logits]
    return Measure(float(np.mean(each)))


def _of_row(row: Row, wanted: Sequence[str], done: Evaluated, taught: Heard) -> Row:
    if not wanted or not done.folds:
        return row
    pooled, more = done.pooled(done.folds), dict[str, Measure]()
    if "entropy" in wanted:
        more["entropy"] = mean_interval(entropies(pooled.logits), pooled.groups)
    if "ece_raw" in wanted:
        more["ece_raw"] = calibration_error(pooled)
    if "teaching_entropy" in wanted and taught:
        each = [mean_interval(entropies(found.logits), found.groups).value for found in taught.values()]
        more["teaching_entropy"] = Measure(float(np.mean(each)))
    return replace(row, metrics={**row.metrics, **more})


def _per_fold(test: Comparison) -> list[str]:
    if not test.per_fold:
        return []
    above, apart = (sum(getattr(m, end) > 0 for m in test.per_fold.values()) for end in ("value", "low"))
    folds = plural(len(test.per_fold), "fold")
    return [f"{test.name_a} is above {test.name_b} on {above} of {folds}, on {apart} of them with an interval above 0."]


def _per_class(test: Comparison) -> list[str]:
    if not test.per_class:
        return []
    gain = {name: one for name, one in test.per_class.items() if one.low > 0}
    lose = {name: one for name, one in test.per_class.items() if one.high < 0}
    n = len(test.per_class)
    return [
        f"{test.name_a} against {test.name_b}: of {n} classes, {_named('gain', gain)}, {_named('lose', lose)}; the "
        f"intervals of the others hold 0. About {0.05 * n:.1f} of {n} would leave it out by chance."
    ]


def _named(verb: str, classes: Mapping[str, Measure]) -> str:
    if not classes:
        return f"none surely {verb}s"
    ranked = sorted(classes.items(), key=lambda item: -abs(item[1].value))
    told = ", ".join(f"{name} {100 * one.value:+.0f}" for name, one in ranked)
    return f"{len(classes)} {verb}{'s' if len(classes) == 1 else ''} ({told})"
