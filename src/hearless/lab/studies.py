"""Every row of a study, trained, evaluated and put into a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hearless import details, evaluate
from hearless.costs import costs
from hearless.interfaces import HearlessError
from hearless.lab.named import initials, run_name
from hearless.labels import label_names
from hearless.provenance import code_commit
from hearless.recipe import Recipe
from hearless.report import Report
from hearless.run import Predictions, Run
from hearless.study import Row, Study
from hearless.weights import find

if TYPE_CHECKING:
    from hearless.lab.lab import Lab


def tabled(lab: Lab, study: Study, command: str) -> Report:
    """Train and evaluate every row of a study and return its table; a failed run leaves a hole, the rest go on."""
    dataset = study.rows[0].options[0].dataset
    table, folds = lab.table(dataset), lab.folds(dataset, study.folds)
    missing = [o for r in study.rows for o in r.options if not _kept(lab, o, r.folds or folds, study.seeds[0])]
    for initial in dict.fromkeys(one for option in missing for one in initials(option)):
        find(initial.weights, initial.sha256)
    rows: list[evaluate.Evaluated] = []
    for row in study.rows:
        rows.append(row_of(lab, study, row, row.folds or folds))
    classes = study.rows[0].options[0].classes
    labels = label_names(classes) if classes else table.labels
    report = evaluate.tabulate(study, rows, labels, table.multi_label, command=command, commit=code_commit())
    if not study.also:
        return report
    teach = "teaching_entropy" in study.also and report.columns[0] == "accuracy"
    taught = {done.row.label: _as_teacher(lab, done) for done in rows} if teach else {}
    return details.detailed(report, study, rows, labels, taught)


def row_of(lab: Lab, study: Study, row: Row, folds: Sequence[str]) -> evaluate.Evaluated:
    """Return what a row's runs scored; one that fails leaves a hole."""
    found = evaluate.Evaluated(row)
    seeds = row.seeds or study.seeds
    paper = row.options[0].protocol != "honest"
    for fold in folds:
        try:
            choice = lab.choose(row, folds[0] if paper else fold, seeds[0])
            found.choices[fold] = choice
            for seed in seeds:
                run = lab.run(row.options[choice], fold, seed)
                judged = _judged(lab, study, row, choice, fold, seed)
                found.add(fold, seed, judged, run.read("done.json")["seconds"])
                found.runs += [] if row.heard_through else [f"{run.path.parent.name}/{run.path.name}"]
                found.costs = found.costs or _costs(lab, study, row.options[choice], run)
        except HearlessError as error:
            lab.say(f"{row.label}, fold {fold}: {error}")
            found.hole = f"fold {fold}: {error}"
    return found


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


def _kept(lab: Lab, recipe: Recipe, folds: Sequence[str], seed: int) -> bool:
    return all(Run(lab.folder(recipe) / run_name(fold, seed)).done for fold in folds)


def _as_teacher(lab: Lab, done: evaluate.Evaluated) -> dict[tuple[str, int], Predictions]:
    """Return what a row's runs say of the clips they were trained on, as their students hear it."""
    each = {place: done.row.options[done.choices[place[0]]] for place in done.found}
    return {
        (fold, seed): lab.heard_through(recipe, fold, seed, recipe.student, "training")
        for (fold, seed), recipe in each.items()
    }
