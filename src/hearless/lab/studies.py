"""Every row of a study, trained, evaluated and put into a table."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hearless import details, evaluate
from hearless.costs import costs
from hearless.interfaces import HearlessError
from hearless.lab import side_by_side
from hearless.lab.named import captures, generations, run_name, starts
from hearless.lab.side_by_side import Hearing, Task
from hearless.lab.starting import check_start
from hearless.labels import label_names
from hearless.provenance import code_commit
from hearless.recipe import Recipe
from hearless.report import Report
from hearless.run import Predictions, Run
from hearless.spec import Spec
from hearless.study import Row, Study

if TYPE_CHECKING:
    from hearless.lab.lab import Lab


def tabled(lab: Lab, study: Study, command: str) -> Report:
    """Train and evaluate every row of a study and return its table; a failed run leaves a hole, the rest go on."""
    dataset = study.rows[0].options[0].dataset
    table, folds = lab.table(dataset), lab.folds(dataset, study.folds)
    check(lab, dict.fromkeys(one for row in study.rows for one in missing(lab, study, row, row.folds or folds)))
    if lab.jobs > 1:
        _make_all(lab, study, folds)
        side_by_side.hear(lab, list(_hearings(lab, study, folds)))
    elif lab.torch_device == "cpu" and (cores := os.cpu_count() or 1) > 1 < (n := len(_all_open(lab, study, folds))):
        lab.say(f"{n} runs to train, one after the other; --jobs {cores} (jobs={cores}) trains {cores} side by side.")
    classes = study.rows[0].options[0].classes
    labels = label_names(classes) if classes else table.labels
    extent = lab.extent(dataset, folds, study.seeds)
    study = replace(study, rows=tuple(row.of(len(labels)) for row in study.rows), notes=(extent, *study.notes))
    told: dict[str, str] = {}
    rows = [row_of(lab, study, row, row.folds or folds, told) for row in study.rows]
    report = evaluate.tabulate(study, rows, labels, table.multi_label, command=command, commit=code_commit())
    if not study.also:
        return report
    teach = "teaching_entropy" in study.also and report.columns[0] == "accuracy"
    taught = {done.row.label: _as_teacher(lab, done) for done in rows} if teach else {}
    return details.detailed(report, study, rows, labels, taught)


def missing(lab: Lab, study: Study, row: Row, folds: Sequence[str]) -> Iterator[Recipe]:
    """Yield the recipes of a row that have runs to train; where a choice is still to come, whatever it may take."""
    for fold in folds:
        tasks, decided = lacking(lab, study, row, fold, folds)
        yield from dict.fromkeys(task.recipe for task in tasks)
        if not decided:
            yield from (one for one in row.options if not _kept(lab, one, fold, row.seeds or study.seeds))


def lacking(lab: Lab, study: Study, row: Row, fold: str, folds: Sequence[str]) -> tuple[list[Task], bool]:
    """Return a row's runs on a fold that can be trained now; False where more are to be chosen by them."""
    seeds, where = row.seeds or study.seeds, _chosen_on(row, fold, folds)
    if row.chosen is None and len(row.options) > 1:
        judges = [one for one in row.judges if not _kept(lab, one, where, seeds[:1])]
        if judges:
            return [Task(one, where, seeds[0]) for one in judges], False
    with suppress(HearlessError):  # a search that did not finish there: the row says so
        recipe = row.options[lab.choose(row, where, seeds[0])]
        return [Task(recipe, fold, seed) for seed in seeds if not _kept(lab, recipe, fold, [seed])], True
    return [], True


def _make_all(lab: Lab, study: Study, folds: Sequence[str]) -> None:
    """Make what a study lacks, several runs side by side; what is chosen by them follows in the next round."""
    while tasks := _all_open(lab, study, folds):
        side_by_side.make(lab, tasks)


def _all_open(lab: Lab, study: Study, folds: Sequence[str]) -> list[Task]:
    """Return the runs that can be trained now and have not failed."""
    places = [(row, fold) for row in study.rows for fold in row.folds or folds]
    each = [task for row, fold in places for task in lacking(lab, study, row, fold, row.folds or folds)[0]]
    return [task for task in each if task.path(lab) not in lab.failed]


def _hearings(lab: Lab, study: Study, folds: Sequence[str]) -> Iterator[Hearing]:
    """Yield what the finished runs of a study's rows are to hear through other views."""
    for row in study.rows:
        if (view := row.heard_through) is None:
            continue
        where, seeds = row.folds or folds, row.seeds or study.seeds
        for fold in where:
            with suppress(HearlessError):  # what is chosen from failed: the row says so
                recipe = row.options[lab.choose(row, _chosen_on(row, fold, where), seeds[0])]
                yield from (Hearing(Task(recipe, fold, seed), view, study.judged_on) for seed in seeds)


def check(lab: Lab, recipes: Iterable[Recipe]) -> None:
    """Refuse weights that do not load and sounds that cannot be decoded, before anything is trained, all in one error.

    Each weights file is loaded once for each network that takes it; sounds are decoded as the trainings would anyway.

    Raises:
        HearlessError: names every cause.
    """
    wanted = list(recipes)
    causes = dict.fromkeys(_refused(check_start, lab, start) for one in wanted for start in starts(one))
    sounds = dict.fromkeys(_sound(one) for recipe in wanted for one in generations(recipe))
    causes |= dict.fromkeys(_refused(_decode, lab, *sound) for sound in sounds)
    found = [cause for cause in causes if cause]
    if len(found) > 1:
        listed = "".join(f"\n- {cause}" for cause in found)
        raise HearlessError(f"nothing was trained, for {len(found)} things are to be mended first:{listed}")
    if found:
        raise HearlessError(found[0])


def _sound(recipe: Recipe) -> tuple[Spec, int]:
    """Return a recipe's data set and the rate in Hz that its sounds are decoded at."""
    return recipe.dataset, max(capture.build().source_rate_hz for capture in captures(recipe))


def _decode(lab: Lab, dataset: Spec, rate_hz: int) -> None:
    lab.decoded(lab.table(dataset), rate_hz)


def _refused(ask: Callable[..., None], *words: Any) -> str:
    """Return what a check says, nothing where it is content."""
    try:
        ask(*words)
    except HearlessError as error:
        return str(error)
    return ""


def row_of(lab: Lab, study: Study, row: Row, folds: Sequence[str], told: dict[str, str]) -> evaluate.Evaluated:
    """Return what a row's runs scored; one that fails leaves a hole.  ``told``: causes, and where each came first."""
    found = evaluate.Evaluated(row)
    seeds = row.seeds or study.seeds
    for fold in folds:
        try:
            choice = lab.choose(row, _chosen_on(row, fold, folds), seeds[0])
            found.choices[fold] = choice
            for seed in seeds:
                run = lab.run(row.options[choice], fold, seed)
                judged = _judged(lab, study, row, choice, fold, seed)
                found.add(fold, seed, judged, run.read("done.json")["seconds"])
                found.runs += [] if row.heard_through else [f"{run.path.parent.name}/{run.path.name}"]
                found.costs = found.costs or _costs(lab, study, row.options[choice], run)
        except HearlessError as error:
            here = f"{row.label}, fold {fold}"
            first = told.setdefault(str(error), here)
            lab.say(f"{here}: {error}" if first == here else f"{here}: as {first}")
            found.hole = f"fold {fold}: {error}"
    return found


def _chosen_on(row: Row, fold: str, folds: Sequence[str]) -> str:
    """Return the fold whose validation part decides what a row takes on a fold: the first one's in a paper's way."""
    return fold if row.options[0].protocol == "honest" else folds[0]


def _judged(lab: Lab, study: Study, row: Row, choice: int, fold: str, seed: int) -> Predictions:
    recipe = row.options[choice]
    if row.heard_through:
        return lab.heard_through(recipe, fold, seed, row.heard_through, study.judged_on)
    last = study.judged_on == "test" and recipe.average_last
    return Predictions.load(lab.run(recipe, fold, seed).predictions("test-last" if last else study.judged_on))


def _costs(lab: Lab, study: Study, recipe: Recipe, run: Run) -> dict[str, float]:
    """Return what a study wants of a recipe's costs, on the clips and classes of a run."""
    if not study.costs:
        return {}
    return costs(recipe, run.measured["labels"], run.measured["clip_s"], study.costs, lab.runs / "costs")


def _kept(lab: Lab, recipe: Recipe, fold: str, seeds: Sequence[int]) -> bool:
    folder = lab.folder(recipe)
    return all(Run(folder / run_name(fold, seed)).done for seed in seeds)


def _as_teacher(lab: Lab, done: evaluate.Evaluated) -> dict[tuple[str, int], Predictions]:
    """Return what a row's runs say of the clips they were trained on, as their students hear it."""
    each = {place: done.row.options[done.choices[place[0]]] for place in done.found}
    return {
        (fold, seed): lab.heard_through(recipe, fold, seed, recipe.student, "training")
        for (fold, seed), recipe in each.items()
    }
