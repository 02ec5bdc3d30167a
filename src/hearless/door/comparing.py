"""The table of finished runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hearless import evaluate
from hearless.door.models import finished, unfinished
from hearless.interfaces import HearlessError
from hearless.plural import plural
from hearless.provenance import code_commit
from hearless.report import Report
from hearless.run import Predictions, Run
from hearless.splits import natural
from hearless.study import Row, Study

MOST_TOLD = 6
"""Settings in which two recipes differ that are told, at most."""


def results(folders: Sequence[Run | str | Path], command: str = "", *, compare: bool = False) -> Report:
    """Return the table of finished runs: each folder is one run, or a recipe's runs over folds and seeds.

    Raises:
        HearlessError: a folder holds no finished run, or the runs' classes differ.
    """
    paths = [folder.path if isinstance(folder, Run) else Path(folder) for folder in folders]
    if not paths or len({path.resolve() for path in paths}) < len(paths):
        raise HearlessError(f"each run must be named once, got {', '.join(map(str, paths)) or 'none'}.")
    left_out = [f"{path.name}/{run.path.name}" for path in paths for run in unfinished(path)]
    notes = (f"Left out, for their training is not over: {', '.join(left_out)}.",) if left_out else ()
    return _table([finished(path) for path in paths], command, notes, compare=compare)


def results_of(runs: Sequence[Run], command: str = "") -> Report:
    """Return the table of these runs of one recipe alone, whatever else lies in its folder."""
    return _table([list(runs)], command)


def _table(
    runs: Sequence[Sequence[Run]], command: str, notes: tuple[str, ...] = (), *, compare: bool = False
) -> Report:
    """Return the table of one row for each recipe's runs; two that are compared stand on what both have."""
    measured = [each[0].measured for each in runs]
    labels, multi_label = tuple(measured[0]["labels"]), bool(measured[0]["multi_label"])
    if any(tuple(m["labels"]) != labels for m in measured):
        raise HearlessError("runs must share their classes to stand in one table; evaluate them apart.")
    names, whole = _names(runs), runs
    runs = _on_what_both_have(runs) if compare else runs
    if compare and [*map(len, whole)] != [*map(len, runs)]:
        notes = (*notes, f"Compared on what both have: {_places(runs[0])}.")
    done = [_evaluated(label, each) for label, each in zip(names, runs, strict=True)]
    pairs = ((done[0].row.label, done[1].row.label),) if compare else ()
    made = Study(
        "evaluate", "What these runs score on their test clips", _words_of(runs), tuple(d.row for d in done),
        seeds=tuple(sorted({s for d in done for s in d.seeds})), compare=pairs,
        notes=(*notes, *(_apart(runs[0][0], runs[1][0]) if compare else ())),
    )  # fmt: skip
    return evaluate.tabulate(made, done, labels, multi_label, command=command, commit=code_commit())


def _on_what_both_have(runs: Sequence[Sequence[Run]]) -> list[list[Run]]:
    """Return two recipes' runs on the folds that both have with every seed that both have.

    Raises:
        HearlessError: there is none, so that nothing can be compared.
    """
    first, second = ({_place(run) for run in each} for each in runs)
    both = first & second
    seeds = {seed for _, seed in both}
    folds = {fold for fold, _ in both if all((fold, seed) in both for seed in seeds)}
    if not folds:
        places = " and ".join(map(_places, runs))
        raise HearlessError(f"runs must share a fold and a seed to be compared, got {places}; name such runs.")
    return [[run for run in each if _place(run) in both and _place(run)[0] in folds] for each in runs]


def _place(run: Run) -> tuple[str, int]:
    return str(run.measured["fold"]), int(run.measured["seed"])


def _apart(a: Run, b: Run) -> tuple[str, ...]:
    """Say in what two runs' recipes differ, values in the runs' order."""
    found = [(key, *values) for key, *values in _differing(a.recipe.to_json(), b.recipe.to_json()) if key != "name"]
    told = [f"{key} ({ours}, {theirs})" for key, ours, theirs in found[:MOST_TOLD]]
    more = f" and {len(found) - MOST_TOLD} more" if len(found) > MOST_TOLD else ""
    return (f"Their recipes differ in {'; '.join(told)}{more}.",) if found else ()


def _differing(a: Any, b: Any, key: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield the dotted key and both values where nested JSON differs, the outermost that only one of them has."""
    if isinstance(a, list) and isinstance(b, list):
        a, b = dict(enumerate(a)), dict(enumerate(b))
    if isinstance(a, dict) and isinstance(b, dict) and a.get("class") == b.get("class"):
        for name in dict.fromkeys((*a, *b)):
            yield from _differing(a.get(name), b.get(name), f"{key}.{name}" if key else str(name))
    elif a != b:
        yield key, _short(a), _short(b)


def _short(value: Any) -> str:
    """Return a value in a word: of an object what it is, of a list how long it is."""
    if isinstance(value, dict):
        return str(value.get("class") or value.get("teacher") or value.get("name") or "…")
    return plural(len(value), "item") if isinstance(value, list) else "none" if value is None else str(value)


def _names(runs: Sequence[Sequence[Run]]) -> list[str]:
    """Return what a table calls each folder's runs: as short as tells them apart."""
    recipes = [each[0].recipe.name.rpartition("/")[2] for each in runs]
    placed = [f"{name}, {_places(each)}" for name, each in zip(recipes, runs, strict=True)]
    folders = [f"{each[0].path.parent.name}, {_places(each)}" for each in runs]
    whole = _apart_from_all(each[0].path if len(each) == 1 else each[0].path.parent for each in runs)
    return next(names for names in (recipes, placed, folders, whole) if len({*names}) == len(names) or names is whole)


def _apart_from_all(paths: Iterable[Path]) -> list[str]:
    """Return paths from where they part."""
    every = [path.resolve() for path in paths]
    return [os.path.relpath(path, os.path.commonpath(every)) for path in every]


def _places(runs: Sequence[Run]) -> str:
    """Say which folds and seeds there are: ``folds 1, 2, seed 0``."""
    said = []
    for what in ("fold", "seed"):
        values = sorted({str(run.measured[what]) for run in runs}, key=natural)
        said.append(f"{what}{'s' if len(values) > 1 else ''} {', '.join(values)}")
    return ", ".join(said)


def _evaluated(label: str, runs: Sequence[Run]) -> evaluate.Evaluated:
    found = evaluate.Evaluated(Row(label, {"tested on": _places(runs)}, (runs[0].recipe,)))
    for run in runs:
        measured, predictions = run.measured, Predictions.load(run.predictions("test"))
        found.add(measured["fold"], measured["seed"], predictions, run.read("done.json")["seconds"])
        place = measured["fold"], measured["seed"]
        if predictions.reference is None and (rule := evaluate.calibration_of(run)):
            found.rules[place] = rule
        if noises := measured.get("noise_named"):
            found.noises[place] = float(np.mean([*noises.values()]))
    return found


def _words_of(runs: Sequence[Sequence[Run]]) -> str:
    measured = [{run.measured["fold"]: run.measured for run in each} for each in runs]
    n = max(sum(m["n_clips"]["test"] for m in folds.values()) for folds in measured)
    return f"{plural(n, 'test clip')}, {plural(len(runs[0][0].measured['labels']), 'class')}."
