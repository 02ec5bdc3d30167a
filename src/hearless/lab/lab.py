"""The lab: finds or makes runs.

``Lab.run(recipe, fold, seed)`` resolves the teachers first, on the student's own fold and seed unless the teacher
states its own, and returns a run that is done: found, resumed or made.  Only this package does so.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from hearless import splits
from hearless.interfaces import Capture, Clip, HearlessError
from hearless.lab import side_by_side
from hearless.lab.bench import Bench, Part
from hearless.lab.checks import check_rates
from hearless.lab.making import heard, make
from hearless.lab.named import heard_name, run_name, starts
from hearless.lab.side_by_side import Task
from hearless.lab.starting import check_start, fresh, has_weights, load_trained
from hearless.lab.studies import tabled
from hearless.lab.teachers import Teachers
from hearless.loading import AudioStore, Loader, Progress, Table, highest_rate_hz, open_store, read_table
from hearless.pipeline import Pipeline, PipelineSpec
from hearless.plural import plural
from hearless.recipe import Recipe
from hearless.report import Report
from hearless.run import Predictions, Run
from hearless.search import Range, Tried, Values, search
from hearless.spec import Spec, digest
from hearless.study import Row, Study
from hearless.teachers import Trained
from hearless.train import Tick


@dataclass
class Lab:
    """Where runs are made and kept.

    Attributes:
        runs: the folder of all runs.
        root: the folder of the recordings; None: only what lies in runs is asked for.
        torch_device: "cpu", "cuda", …
        say: told in words what happens (found, trains, evaluates).
        tick: told where the training under way stands.
        decoding: told how far decoding is.
        jobs: how many runs of a study are made side by side, by as many processes.
        failed: why runs failed, by their folders; none is tried twice.
        started: which weights were shown to fit which networks (see `hearless.lab.starting.check_start`).
    """

    runs: Path
    root: Path | None
    torch_device: str = "cpu"
    say: Callable[[str], None] = lambda text: None
    tick: Callable[[str, Tick], None] = lambda name, tick: None
    decoding: Progress | None = None
    jobs: int = 1
    _tables: dict[Spec, Table] = field(default_factory=dict)
    _stores: dict[tuple[str, int], AudioStore] = field(default_factory=dict)
    _rates: dict[str, int] = field(default_factory=dict)
    _checked: dict[str, int] = field(default_factory=dict)
    started: set[Hashable] = field(default_factory=set)
    failed: dict[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise HearlessError(f"jobs must be at least 1, got {self.jobs}; one run for each core is a good number.")
        try:
            torch.empty(0, device=self.torch_device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise HearlessError(
                f"torch_device must be one that this machine has, got {self.torch_device!r} ({error}); cpu always is."
            ) from error

    def table(self, dataset: Spec) -> Table:
        """Return the data set's clips, read once."""
        if self.root is None:
            raise HearlessError(f"the recordings of {dataset.name} are asked for; name their folder as root (--root).")
        if dataset not in self._tables:
            self._tables[dataset] = read_table(dataset.build(), self.root)
        return self._tables[dataset]

    def store(self, table: Table, captures: Sequence[Capture]) -> AudioStore:
        """Return the decoded sound at the highest rate that any capture asks for and any file has."""
        lowest = max(c.minimum_rate_hz for c in captures)
        self._highest_hz(table)
        if lowest > self._checked.get(table.digest, 1):
            check_rates(table.clips, lowest)
            self._checked[table.digest] = lowest
        return self.decoded(table, max(c.source_rate_hz for c in captures))

    def _highest_hz(self, table: Table) -> int:
        if table.digest not in self._rates:
            self._rates[table.digest] = highest_rate_hz(table.clips)
        return self._rates[table.digest]

    def decoded(self, table: Table, wanted: int) -> AudioStore:
        """Return the decoded sound at this rate in Hz, or the highest that any file has.

        Raises:
            HearlessError: names every file that cannot be decoded.
        """
        key = table.digest
        try:
            rate = min(wanted, self._highest_hz(table))
        except HearlessError:
            open_store(table, wanted, progress=self.decoding)  # refuses as well, and names those that are cut short too
            raise
        if (key, rate) not in self._stores:
            if rate < wanted:
                self.say(f"the recordings hold {rate} Hz, not {wanted}: what lies above {rate / 2:g} Hz stays silent.")
            self._stores[key, rate] = open_store(table, rate, progress=self.decoding)
        return self._stores[key, rate]

    def folds(self, dataset: Spec, wanted: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the folds asked for, or all of the data set's."""
        known = splits.folds(self.table(dataset).clips)
        if unknown := [fold for fold in wanted if fold not in known]:
            raise HearlessError(f"folds must be among {', '.join(known)}, got {', '.join(unknown)}.")
        return tuple(wanted) or known

    def extent(self, dataset: Spec, folds: Sequence[str], seeds: Sequence[int]) -> str:
        """Say on which of a data set's folds and with which seeds something is made, so that no thinning is missed."""
        known = self.folds(dataset)
        which = f"all {plural(len(known), 'fold')}" if len(known) > 1 else "the one split"
        if len(folds) < len(known):
            which = f"fold{'s'[: len(folds) > 1]} {', '.join(folds)} of {len(known)}"
        return f"Made on {which}, seed{'s'[: len(seeds) > 1]} {', '.join(map(str, seeds))}."

    def folder(self, recipe: Recipe) -> Path:
        """Return the folder of a recipe's runs on its data; one made under another name is found again.

        Without data at hand it is the one that holds runs of that recipe.

        Raises:
            HearlessError: without data, none or several hold them.
        """
        if self.root is None:
            return self._holding(recipe)
        key = digest([recipe.digest, self.table(recipe.dataset).digest])
        found = sorted(self.runs.glob(f"*-{key}"))
        return found[0] if found else self.runs / f"{recipe.name.replace('/', '-')}-{key}"

    def _holding(self, recipe: Recipe) -> Path:
        """Return the one folder that holds finished runs of a recipe."""
        runs = [Run(done.parent) for done in sorted(self.runs.glob("*/*/done.json"))]
        found = list(dict.fromkeys(run.path.parent for run in runs if run.recipe.digest == recipe.digest))
        if len(found) != 1:
            where = ", ".join(str(folder) for folder in found) or "none"
            raise HearlessError(
                f"{self.runs} must hold the runs of {recipe.name} once, which others start from, got {where}; put the "
                "missing folder there."
            )
        return found[0]

    def run(self, recipe: Recipe, fold: str, seed: int, part: Part | None = None) -> Run:
        """Return the finished run of a recipe on a fold with a seed: found, resumed or made."""
        name = run_name(fold, seed) + (f"-part{part.number}of{part.of}" if part else "")
        run = Run(self.folder(recipe) / name)
        if not run.done:
            for start in starts(recipe):
                check_start(self, start)
            self._locked_make(run, recipe, fold, seed, part)
        return run

    def with_weights(self, recipe: Recipe, fold: str, seed: int, part: Part | None = None) -> Run:
        """Return a finished run whose weights are at hand: one that kept only its results is trained again."""
        run = self.run(recipe, fold, seed, part)
        if not has_weights(run, recipe):
            if self.root is None:
                raise HearlessError(f"{run.path} has lost its checkpoints, from which others start; train it again.")
            self._locked_make(run, recipe, fold, seed, part)
        return run

    def awaited(self, recipe: Recipe, fold: str, seed: int) -> list[Trained]:
        """Return the runs whose weights a run needs: what it starts from, and teachers whose logits are not stored."""
        return Teachers(self, Bench.prepare(self, recipe, fold, seed, None)).awaited()

    def _locked_make(self, run: Run, recipe: Recipe, fold: str, seed: int, part: Part | None) -> None:
        if run.path in self.failed:
            raise HearlessError(self.failed[run.path])
        with run.locked():
            if not run.done or not has_weights(run, recipe):
                try:
                    self._make(run, recipe, fold, seed, part)
                except HearlessError as error:
                    self.failed[run.path] = str(error)
                    raise

    def _make(self, run: Run, recipe: Recipe, fold: str, seed: int, part: Part | None) -> None:
        make(self, run, recipe, fold, seed, part)

    def pipeline(self, run: Run, view: PipelineSpec | None = None) -> Pipeline:
        """Return a finished run's pipeline, or its weights behind another view, in eval mode on the torch device."""
        recipe, measured = run.recipe, run.measured
        pipeline = fresh(view or recipe.student, measured["labels"], measured["seed"])
        load_trained(self, pipeline, run, recipe, measured["fold"], measured["seed"])
        return pipeline.on(self.torch_device).eval()

    @torch.no_grad()
    def observed(self, run: Run, side: str, n_clips: int) -> torch.Tensor:
        """Return what a finished run's sensor gives of some of its clips ``[clip, …, time]``, a window each.

        Args:
            run: the run.
            side: ``"training"`` or ``"test"``, whose clips it has never heard.
            n_clips: how many clips at most, evenly spread.

        Raises:
            HearlessError: the recordings here are not those that the run was made with.
        """
        bench, clips = self._sampled(run, side, n_clips)
        loader = replace(bench.loader(clips), augmentations=())
        sensor = run.recipe.student.capture.build().eval()
        return torch.cat([sensor(batch.waveform, batch.rate_hz, batch.devices) for batch in loader.in_order()])

    def clip_names(self, run: Run, side: str, n_clips: int) -> list[str]:
        """Return the names of the clips that `observed` hears, in its order."""
        return [clip.id for clip in self._sampled(run, side, n_clips)[1]]

    def _sampled(self, run: Run, side: str, n_clips: int) -> tuple[Bench, tuple[Clip, ...]]:
        """Return the bench of a finished run and some of its clips: see `observed`."""
        measured = run.measured
        bench = Bench.prepare(self, run.recipe, measured["fold"], measured["seed"], None)
        heard, known = set(run.read("clips.json")["training"]), {clip.group for clip in bench.training}
        if not heard or not heard <= known | {clip.group for clip in bench.validation}:
            raise HearlessError(
                f"{self.root} must hold the recordings that {run.path} was made with, got {len(known)} others to train "
                "on; name their folder with --root."
            )
        clips = {"training": bench.training, "test": bench.test or bench.validation}[side]
        clips = tuple(clip for clip in clips if (clip.group in heard) == (side == "training"))
        if not clips:
            raise HearlessError(f"{run.path} needs {side} clips, got none; name their folder with --root.")
        return bench, clips[:: -(-len(clips) // n_clips)]

    def heard_through(
        self, recipe: Recipe, fold: str, seed: int, view: PipelineSpec, side: str = "test"
    ) -> Predictions:
        """Return a run's predictions through a view (the raw condition), kept beside its own.

        ``side`` says of which clips: "test", "validation" or "training".
        """
        path = self.run(recipe, fold, seed).predictions(heard_name(view, side))
        if not path.is_file():
            run = self.with_weights(recipe, fold, seed)
            what = "its training clips" if side == "training" else "clips through another view"
            self.say(f"listens with {run.path.parent.name}/{run.path.name} to {what}")
            bench = Bench.prepare(self, replace(recipe, student=view), fold, seed, None)
            teacher = Teachers(self, bench).running(recipe.teacher) if recipe.classes else None
            clips = {"test": bench.test, "validation": bench.validation, "training": bench.training}[side]
            heard(self, self.pipeline(run, view), bench, clips, teacher).save(path)
        return Predictions.load(path)

    def listener(self, recipe: Recipe, fold: str, seed: int, view: PipelineSpec | None = None) -> Pipeline:
        """Return a recipe's pipeline on a fold with a seed, trained if need be: see `pipeline`."""
        return self.pipeline(self.with_weights(recipe, fold, seed), view)

    def make_ready(self, recipes: Sequence[Recipe], folds: Sequence[str], seed: int) -> None:
        """Train what `listener` would miss of these recipes, side by side; with one job each when it is asked for."""
        if self.jobs > 1:
            side_by_side.make(self, [Task(recipe, fold, seed) for recipe in recipes for fold in folds])

    def loaders(self, recipe: Recipe, fold: str, seed: int) -> dict[str, Loader]:
        """Return the clips that a recipe trains on, is chosen by and is tested on, each as its runs hear them."""
        bench = Bench.prepare(self, recipe, fold, seed, None)
        sides = {"training": bench.training, "validation": bench.validation, "test": bench.test}
        return {side: bench.loader(clips) for side, clips in sides.items()}

    def choose(self, row: Row, fold: str, seed: int) -> int:
        """Return which option a row takes on a fold: the best on its validation part, or what a search has chosen."""
        if row.chosen is not None:
            if fold not in row.chosen:
                raise HearlessError(f"{row.label} has no choice for fold {fold}: its search did not finish there.")
            return row.chosen[fold]
        if len(row.options) == 1:
            return 0
        scores = [self._validated(recipe, fold, seed) for recipe in row.judges]
        return int(np.argmax(scores))

    def _validated(self, recipe: Recipe, fold: str, seed: int) -> float:
        found = self.run(recipe, fold, seed).read("done.json")["validation"]
        direction, _, name = recipe.select.partition(":")
        return float(found[name or next(iter(found))]) * (-1.0 if direction == "min" else 1.0)

    def search(
        self, make: Callable[[Values], Recipe], space: Sequence[Range], first: Values, fold: str, seed: int = 0, *,
        trials: int, storage: str = "",
    ) -> tuple[Tried, ...]:  # fmt: skip
        """Search a recipe's settings on a fold's validation part; every trial is a run like any other.

        With several ``jobs`` as many trials are drawn and made side by side.

        Args:
            make: the recipe of a point.
            space: what is searched.
            first: the point that is tried first.
            fold: of all runs.
            seed: of all runs, and of the draws.
            trials: how many in all.
            storage: an Optuna storage URL that machines may share; default: a file beside the runs.

        Raises:
            HearlessError: the storage cannot be opened.
        """
        start = make(first)
        key = digest([start.digest, self.table(start.dataset).digest, [asdict(one) for one in space], fold, seed])
        self.runs.mkdir(parents=True, exist_ok=True)
        self.say(f"searches {', '.join(one.name for one in space)} on fold {fold}: {plural(trials, 'trial')}")
        return search(
            f"{start.name}-{key}", space, lambda values: self._validated(make(values), fold, seed), trials=trials,
            storage=storage or f"sqlite:///{self.runs.resolve() / 'searches.sqlite3'}", seed=seed, first=first,
            where=str(self.runs.resolve()), say=self.say, at_once=self.jobs,
            ready=lambda points: self.make_ready([make(values) for values in points], (fold,), seed),
        )  # fmt: skip

    def study(self, study: Study, command: str = "") -> Report:
        """Train and evaluate every row of a study and return its table; a failed run leaves a hole, the rest go on."""
        return tabled(self, study, command)
