"""A study's table: rows, paired tests, choices, published numbers, and what a reader is to beware of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hearless.evaluate.evaluated import Evaluated, on_same_clips, paired_test, shared
from hearless.evaluate.measuring import AGREEMENT, SEEN, TRAINING_TIME, TRUST_UNITS, UNITS, UNSEEN
from hearless.evaluate.rows import costed, report_row, timed
from hearless.plural import plural
from hearless.provenance import environment
from hearless.report import SPREAD, Report, compared
from hearless.run import Predictions
from hearless.statistics import FEWEST_RECORDINGS
from hearless.study import COSTS, Study


def tabulate(
    study: Study, rows: Sequence[Evaluated], labels: Sequence[str], multi_label: bool, *, command: str = "",
    commit: str | None = None,
) -> Report:  # fmt: skip
    """Return a study's table: measures with intervals, per fold and class, paired tests, choices, published numbers."""
    by_label = {done.row.label: done for done in rows}
    pairs, p_mcnemar = {}, {}
    for a, b in study.compare:
        both = by_label[a], by_label[b]
        if all(shared(*both)) and _n_recordings(on_same_clips(*both)[0]) > 1:
            pairs[a, b], p = paired_test(*both, multi_label=multi_label)
            if p is not None:
                p_mcnemar[a, b] = p
    metric = "agreement" if any(done.beside_teacher for done in rows) else "mAP" if multi_label else "accuracy"
    seconds = [s for done in rows for s in done.seconds]
    lines = [costed(report_row(done, labels, multi_label), done) for done in rows]
    once = {pair for pair in pairs if len(shared(*(by_label[name] for name in pair))[1]) == 1}
    doubts = {} if multi_label else {done.row.label: words for done in rows if (words := collapsed(done))}
    return Report(
        title=study.title, task=study.task,
        columns=(*_columns(metric, rows), *((TRAINING_TIME,) if study.training_time else ()), *study.costs),
        rows=tuple(timed(line, done) if study.training_time else line for line, done in zip(lines, rows, strict=True)),
        tests=compared(pairs, metric=metric, p_mcnemar=p_mcnemar, doubts=doubts, once=once),
        notes=(*study.notes, *_few(rows), *_recordings(rows, labels),
               *(f"Beware: {words}." for words in doubts.values()), *_remarks(rows)),
        command=command, commit=commit, environment=environment(),
        seconds_per_run=float(np.mean(seconds)) if seconds else None, seeds=study.seeds,
        units=UNITS | COSTS | (TRUST_UNITS if any(done.rules for done in rows) else {}),
    )  # fmt: skip


def collapsed(done: Evaluated) -> str:
    """Say how many of a row's runs name one class only, whatever they hear; nothing where none does.

    One that hears through another view than it was trained on may do so though it was trained.
    """
    n, of = sum(map(names_one_class, done.found.values())), len(done.found)
    if not n:
        return ""
    learned = "" if done.row.heard_through or not done.row.options[0].stages else ": not trained"
    which = f"{n} of {plural(of, 'run')} of {done.row.label} name{'s' if n == 1 else ''}"
    return f"{which} one class only{learned}"


def names_one_class(found: Predictions) -> bool:
    """Say whether all clips get one and the same class, where more than one is right."""
    said = found.logits.argmax(-1)
    return len(np.unique(found.true.argmax(-1))) > 1 and bool((said == said[..., :1]).all())


def _columns(metric: str, rows: Sequence[Evaluated]) -> tuple[str, ...]:
    """Return the measures shown: the first, its spread where there are seeds, and macro F1 of single labels."""
    if metric == "agreement":
        return AGREEMENT
    more = (SPREAD,) if any(len(done.seeds) > 1 and done.folds for done in rows) else ()
    known = [found.seen for done in rows for found in done.found.values() if found.seen is not None]
    devices = (SEEN, *((UNSEEN,) if any(not seen.all() for seen in known) else ())) if known else ()
    return (metric, *more, *devices, *(() if metric == "mAP" else ("macro_f1",)))


def _n_recordings(found: Predictions) -> int:
    return len(set(found.groups.tolist()))


def _few(rows: Sequence[Evaluated]) -> list[str]:
    """Say that intervals and tests rest on few source recordings."""
    n = min((_n_recordings(done.pooled(done.folds)) for done in rows if done.folds), default=FEWEST_RECORDINGS)
    if n >= FEWEST_RECORDINGS:
        return []
    if n == 1:
        return ["All tested clips are of one source recording: no intervals, no paired tests; test more folds."]
    return [
        f"Intervals and tests resample {n} source recordings; with fewer than {FEWEST_RECORDINGS} they are too narrow."
    ]


def _recordings(rows: Sequence[Evaluated], labels: Sequence[str]) -> list[str]:
    """Say how many source recordings of each class are tested, where devices are told apart."""
    found = next((done.pooled(done.folds) for done in rows if done.folds), None)
    if found is None or found.seen is None:
        return []
    counts = {
        label: len(set(found.groups[found.true[:, i] > 0].tolist())) for i, label in enumerate(labels)
    }  # fmt: skip
    said = ", ".join(f"{label} {n}" for label, n in counts.items())
    return [f"Source recordings tested: {_n_recordings(found)} ({said})."]


def _remarks(rows: Sequence[Evaluated]) -> list[str]:
    """Say what was chosen per fold, how long runs took, and every published number beyond the first."""
    notes = []
    for done in rows:
        if len(done.row.options) > 1:
            chosen = ", ".join(f"{fold}: {done.row.options[i].name}" for fold, i in done.choices.items())
            notes.append(f"{done.row.label}: chosen on each fold's own validation part: {chosen}.")
        if done.seconds and not done.row.heard_through:
            runs = plural(len(done.seconds), "run")
            notes.append(f"{done.row.label}: {runs} of {np.mean(done.seconds):.0f} s (mean).")
        if len(done.row.published) > 1:
            others = [f"{100 * value:.1f} ({source})" for source, value in [*done.row.published.items()][1:]]
            notes.append(f"{done.row.label}: also published: {', '.join(others)}.")
    return notes
