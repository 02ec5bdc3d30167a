"""Trainings and studies by name, on the paper's data or on one's own."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from hearless.closest import closest
from hearless.door.data import Tables, dataset
from hearless.door.recipes import is_analysis, maker, recipe_module, settings, systems
from hearless.interfaces import HearlessError, UnknownSettingError
from hearless.lab import Lab
from hearless.plural import plural
from hearless.report import Report
from hearless.run import Run
from hearless.spec import Spec
from hearless.study import Question, Study


def train(
    *, labels: Tables = None, root: str | Path | None = None, name: str | None = None,
    mapping: dict[str, str] | None = None, rate: int | None = None, method: str = "cssd", backbone: str = "mn04",
    weights: str | Path | None = None, fold: str | None = None, seed: int = 0, runs: str | Path = "runs",
    lab: Lab | None = None, **words: Any,
) -> Run:  # fmt: skip
    """Train a classifier on your own clips and return its run; asking twice resumes or reuses.

    Args:
        labels: a CSV table of the clips, as in `dataset`.
        root: the folder of the sounds.
        name: a data set of the shelf instead.
        mapping: the table's column names.
        rate: what the sensor samples at, in Hz; default: 1000, where the recipe takes one.
        method: "fine_tuned", "basd", "cssd", "dkd", or "full_band" (16 kHz); or any other recipe as
            ``system/recipe``, such as "spectral_transcoder/light" (levels instead of sound).
        backbone: short name of a network, such as ``"mn04"``.
        weights: a local weights file in place of the published one; ``"none"`` starts from random weights.
        fold: the fold to test on; default: the first.
        seed: of all draws.
        runs: the folder of all runs.
        lab: where runs are made (progress bars, torch device); default: a quiet one on the CPU.
        words: further settings, such as ``epochs=30``.

    Raises:
        HearlessError: a rate for a recipe that takes none, or whatever the training refuses.
    """
    named = method if "/" in method or method in systems() else f"low_rate/{method}"
    make, system = maker(named, "recipe"), named.partition("/")[0]
    data, folder = dataset(name, labels, root, mapping)
    lab = lab or Lab(Path(runs), folder)
    words.setdefault("multi_label", lab.table(data).multi_label)
    chosen = settings(system, data, backbone=backbone, weights=weights, **words)
    takes = inspect.signature(make).parameters
    at_rate = "rate_hz" in takes and make.__module__.rpartition(".")[2] != "full_band"
    tested = fold or lab.folds(data)[0]
    at_fold = {"fold": tested} if "fold" in takes else {}
    if rate is not None and not at_rate:
        raise HearlessError(_no_rate(method, chosen, rate))
    given = {} if rate is None else {"rate_hz": rate}
    recipe = make(chosen, **given, **at_fold)
    known = lab.folds(recipe.dataset)
    return lab.run(recipe, tested if tested in known or not at_fold else known[0], seed)


def _no_rate(method: str, chosen: Any, rate: int) -> str:
    """Say what to do with a rate that a recipe does not take."""
    own = f"set it with --set rate_hz={rate}" if "rate_hz" in vars(chosen) else "leave it out"
    return f"rate must be left to {method}, which takes none of its own, got {rate}; {own}."


def study(
    name: str, *, lab: Lab | None = None, runs: str | Path = "runs", command: str = "",
    labels: Tables = None,
    root: str | Path | None = None, dataset_name: str | None = None, mapping: dict[str, str] | None = None,
    backbones: Sequence[str] = (), weights: str | Path | None = None,
    folds: Sequence[str] = (), seeds: Sequence[int] = (0,),
    rates: Sequence[int] = (), only: Sequence[str] = (), place: str | Path | None = None, **words: Any,
) -> Report:  # fmt: skip
    """Run a study by name and return its table; data, networks, folds, seeds and rates may replace the paper's.

    ``only``: the labels of those rows that are wanted; none: all.
    ``place`` is where pictures go, those of an analysis (see `is_analysis`) and those of a study whose file has
    ``draw(report, place)``, a function of its table alone; default: ``RUNS/studies/NAME``.
    """
    make = maker(name, "study", "analyse")
    module = recipe_module(name)
    if "backbone" in words:
        raise HearlessError(f"a study takes backbones=[…], got backbone={words['backbone']!r}; put it in a list.")
    own = bool(labels) or root is not None or dataset_name is not None
    if vars(module).get("BACKBONES") == () and (own or backbones or weights is not None):
        raise HearlessError(
            f"{name} hears no clips and trains no networks; leave the data, --backbone and --weights out."
        )
    default = vars(module).get("DATA", "ESC50")
    mapping = {**(vars(module).get("MAPPING", {}) if labels else {}), **(mapping or {})}
    data, folder = (None, Path()) if not own and default is None else dataset(
        *((dataset_name, labels, root, mapping) if own else (default, None, root, None))
    )  # fmt: skip
    lab = lab or Lab(Path(runs), folder)
    mine = {word: words.pop(word) for word in vars(module).get("WORDS", ()) if word in words}
    if data is None and words:
        known = vars(module).get("WORDS", ())
        guess = "".join(f"; did you mean {near}?" for word in words if (near := closest(word, known)))
        listed = ", ".join(known) or "nothing"
        raise HearlessError(f"--set of {name} takes {listed} where no data are named, got {', '.join(words)}{guess}")
    try:
        each, task = _each(module, lab, data, own, backbones, weights, words, bool(rates)) if data else ([], "")
    except UnknownSettingError as error:
        beside = ", ".join(vars(module).get("WORDS", ()))
        raise HearlessError(f"{name} takes {beside} beside its settings; {error}" if beside else str(error)) from error
    pictures = Path(place or lab.runs / "studies" / name)
    if is_analysis(name):
        if only:
            raise HearlessError(f"{name} makes its own table, so rows of it cannot be picked; leave --row out.")
        question = Question(
            tuple(each), data if own else None, tuple(rates), tuple(folds), tuple(seeds), task, command, pictures, mine
        )  # fmt: skip
        return cast(Report, make(lab, question))
    more = {"rates": tuple(rates)} if rates else {}
    made: Study = make(each, folds=tuple(folds), seeds=tuple(seeds), task=task, **more)
    report = lab.study(made.only(only) if only else made, command)
    if draw := vars(module).get("draw"):
        draw(report, pictures)
    return report


def _each(
    module: ModuleType, lab: Lab, data: Spec, own: bool, backbones: Sequence[str], weights: str | Path | None,
    words: dict[str, Any], other_rates: bool,
) -> tuple[list[Any], str]:  # fmt: skip
    """Return a study's settings, one a backbone, and which data they are of in words."""
    words = {"paper": not own, "multi_label": lab.table(data).multi_label, **words}
    system = vars(module).get("SETTINGS", module.__name__.split(".")[-2])
    chosen = tuple(backbones) or module.BACKBONES
    each = [settings(system, data, backbone=b, weights=weights, **words) for b in chosen]
    other = {"data": own, "networks": bool(backbones), "weights": weights is not None, "rates": other_rates}
    return each, _task(lab, data, other)


def _task(lab: Lab, data: Spec, other: dict[str, bool]) -> str:
    """Say in words which data were used, and that a table with other data or networks is not the paper's task."""
    table = lab.table(data)
    recordings = len({clip.group for clip in table.clips})
    clips, classes = plural(len(table.clips), "clip"), plural(len(table.labels), "class")
    what = f"{clips} of {plural(recordings, 'recording')} in {classes} ({data.name})"
    changed = [name for name, is_other in other.items() if is_other]
    return f"{what}; not the paper's task: other {', '.join(changed)}." if changed else f"{what}, as in the paper."
