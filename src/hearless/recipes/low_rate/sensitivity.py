"""How much hangs on α and T?  CSSD over a grid of both, and an Optuna search beside it (paper 001 asks).

Everything stays inside the training folds: trials and table are judged on each fold's own validation part, the test
folds are not touched.  The search asks anew on every fold.  Trials are runs like any other: found again, resumed, and
shared with the grid where they meet.  ``storage=URL`` puts the search into an Optuna storage that several machines
name; each then trains what the others have not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.pictures import heat_map
from hearless.plural import plural
from hearless.recipe import Recipe
from hearless.recipes._shared import with_words
from hearless.recipes.low_rate import cssd, fine_tuned
from hearless.recipes.low_rate.settings import Settings
from hearless.recipes.low_rate.table1 import rate_text
from hearless.report import Report
from hearless.search import Range, Tried, Values
from hearless.statistics import Measure
from hearless.study import Question, Row, Study

BACKBONES = ("mn04",)
RATE_HZ = 1000
ALPHA, T = "α", "T"
SPACE = (Range("alpha", 0.0, 1.0, step=0.05), Range("temperature", 1.0, 16.0, log=True))
ON_GRID, SEARCHED = "best of the grid", "best of the search"


@dataclass(frozen=True)
class Options:
    """What ``--set`` takes beside the settings.

    Attributes:
        alphas, temperatures: of the grid, parted by commas.
        trials: of the search on each fold; 0: none.
        storage: an Optuna storage URL that machines share; empty: a file beside the runs.
    """

    alphas: str = "0.1,0.3,0.5,0.7,0.9"
    temperatures: str = "1,2,4,8"
    trials: int = 20
    storage: str = ""

    def grid(self) -> tuple[tuple[float, float], ...]:
        """Return every (α, T), α by α.

        Raises:
            HearlessError: a list that cannot be read.
        """
        temperatures = _numbers("temperatures", self.temperatures)
        return tuple((alpha, t) for alpha in _numbers("alphas", self.alphas) for t in temperatures)


WORDS = tuple(f.name for f in fields(Options))


def analyse(lab: Lab, question: Question) -> Report:
    """Return the table of grid and search, with a heat map of the grid."""
    options: Options = with_words(Options(), question.words, ())
    if len(question.each) != 1 or len(question.rates) > 1:
        raise HearlessError(
            f"this study takes one backbone and one rate, got {len(question.each)} and {list(question.rates)}."
        )
    settings, rate = question.each[0], (question.rates or (RATE_HZ,))[0]
    table(settings, rate, options)  # what is wrong is said before any run
    made = table(settings, rate, options, searched(lab, settings, rate, options, question) if options.trials else {})
    task = f"{question.task} {made.task}".strip()
    report = lab.study(replace(made, folds=question.folds, seeds=question.seeds, task=task), question.command)
    if cells := cells_of(report):
        title = f"CSSD at {rate_text(rate)} by α and T (validation parts)"
        heat_map(cells, question.place / "heat_map.png", along=(ALPHA, T), title=title, measure=report.columns[0])
    return report


def at(settings: Settings, rate_hz: int, values: Values) -> Recipe:
    """Return CSSD at one point of the search."""
    return cssd.recipe(replace(settings, alpha=values["alpha"], temperature=values["temperature"]), rate_hz)


def searched(
    lab: Lab, settings: Settings, rate_hz: int, options: Options, question: Question
) -> dict[str, tuple[Tried, ...]]:
    """Return the finished trials of each fold."""
    found, first = {}, {"alpha": settings.alpha, "temperature": settings.temperature}
    for fold in lab.folds(settings.dataset, question.folds):
        found[fold] = lab.search(
            lambda values: at(settings, rate_hz, values), SPACE, first, fold, question.seeds[0],
            trials=options.trials, storage=options.storage,
        )  # fmt: skip
    return found


def table(
    settings: Settings, rate_hz: int, options: Options, found: Mapping[str, Sequence[Tried]] | None = None
) -> Study:
    """Return the study: fine-tuned, a row a point of the grid, the best of the grid and that of the search by fold."""
    grid = {(a, t): cssd.recipe(replace(settings, alpha=a, temperature=t), rate_hz) for a, t in options.grid()}
    for recipe in grid.values():
        recipe.stages[0].objectives[0].build()  # refuses an α or T that cannot be
    own = {"rate": rate_text(rate_hz), "network": settings.backbone.name}
    plain = Row("fine-tuned", {ALPHA: "", T: "", **own}, (fine_tuned.recipe(settings, rate_hz),))
    points = [
        Row(f"α {a:g}, T {t:g}", {ALPHA: f"{a:g}", T: f"{t:g}", **own}, (recipe,)) for (a, t), recipe in grid.items()
    ]
    best = [Row(ON_GRID, {ALPHA: "by fold", T: "by fold", **own}, tuple(grid.values()))]
    pairs = [(ON_GRID, "fine-tuned")]
    if found and any(found.values()):
        best.append(_searched_row(settings, rate_hz, own, found))
        pairs += [(SEARCHED, "fine-tuned"), (SEARCHED, ON_GRID)]
    return Study(
        name="low_rate/sensitivity", title="How much hangs on α and T", rows=(plain, *points, *best),
        compare=tuple(pairs), judged_on="validation", notes=(*_chosen(found or {}), *_NOTES),
        task="Judged on each fold's validation part; the test folds stay untouched.",
    )  # fmt: skip


_NOTES = (
    "The best are chosen by the very numbers that they show, so these flatter them; table1 judges such a choice on "
    "test folds.",
)


def _searched_row(
    settings: Settings, rate_hz: int, own: dict[str, str], found: Mapping[str, Sequence[Tried]]
) -> Row:  # fmt: skip
    best = {fold: at(settings, rate_hz, _best(tried).values) for fold, tried in found.items() if tried}
    options = tuple(dict.fromkeys(best.values()))
    chosen = {fold: options.index(recipe) for fold, recipe in best.items()}
    return Row(SEARCHED, {ALPHA: "by fold", T: "by fold", **own}, options, chosen=chosen)


def _best(tried: Sequence[Tried]) -> Tried:
    return max(tried, key=lambda one: one.score)


def _chosen(found: Mapping[str, Sequence[Tried]]) -> list[str]:
    said = []
    for fold, tried in found.items():
        if not tried:
            said.append(f"Search, fold {fold}: every trial failed.")
            continue
        best = _best(tried)
        alpha, t = best.values["alpha"], best.values["temperature"]
        said.append(
            f"Search, fold {fold}: {plural(len(tried), 'trial')}; best α {alpha:g}, T {t:g} at {100 * best.score:.1f}, "
            f"found by trial {best.number + 1}; the first trial {100 * tried[0].score:.1f}."
        )
    return said


def cells_of(report: Report) -> dict[tuple[str, str], Measure]:
    """Return what the heat map shows: the first measure by (α, T), where it is measured."""
    return {
        (str(row.condition[ALPHA]), str(row.condition[T])): row.metrics[report.columns[0]]
        for row in report.rows
        if row.condition[ALPHA] not in ("", "by fold") and report.columns[0] in row.metrics
    }


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        found = tuple(dict.fromkeys(float(word) for word in text.split(",")))
    except ValueError:
        found = ()
    if not found:
        raise HearlessError(f"{name} must be numbers parted by commas, such as 0.1,0.5, got {text!r}.")
    return found
