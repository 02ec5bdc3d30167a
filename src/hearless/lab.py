"""The lab: finds or makes runs.

``Lab.run(recipe, fold, seed)`` resolves the teachers first, on the student's own fold and seed unless the teacher
states its own, and returns a run that is done: found, resumed or made.  Only this module does so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hearless import evaluate, splits
from hearless.interfaces import Capture, Clip, HearlessError
from hearless.loading import AudioStore, Loader, Progress, Table, highest_rate_hz, open_store, read_table
from hearless.pipeline import Pipeline, PipelineSpec
from hearless.provenance import environment, git_commit
from hearless.recipe import Recipe
from hearless.report import Report
from hearless.run import Predictions, Run
from hearless.spec import Spec, digest
from hearless.study import Row, Study
from hearless.teachers import CrossFitted, Fused, Pretrained, Teacher, Trained
from hearless.teaching import Explain, Running, store
from hearless.train import Tick, Training, load_parts
from hearless.weights import load_pretrained


@dataclass(frozen=True)
class Part:
    """One share of the training recordings left out, for cross-fitted teachers."""

    number: int
    of: int


@dataclass
class Lab:
    """Where runs are made and kept.

    Attributes:
        runs: the folder of all runs.
        root: the folder of the recordings.
        torch_device: "cpu", "cuda", …
        say: told in words what happens (found, trains, evaluates).
        tick: told where the training under way stands.
        decoding: told how far decoding is.
    """

    runs: Path
    root: Path
    torch_device: str = "cpu"
    say: Callable[[str], None] = lambda text: None
    tick: Callable[[str, Tick], None] = lambda name, tick: None
    decoding: Progress | None = None
    _tables: dict[Spec, Table] = field(default_factory=dict)
    _stores: dict[tuple[str, int], AudioStore] = field(default_factory=dict)
    _rates: dict[str, int] = field(default_factory=dict)

    def table(self, dataset: Spec) -> Table:
        """Return the data set's clips, read once."""
        if dataset not in self._tables:
            self._tables[dataset] = read_table(dataset.build(), self.root)
        return self._tables[dataset]

    def store(self, table: Table, captures: Sequence[Capture]) -> AudioStore:
        """Return the decoded sound at the highest rate that any capture asks for and any file has."""
        key = table.digest
        if key not in self._rates:
            self._rates[key] = highest_rate_hz(table.clips)
        lowest = max(c.minimum_rate_hz for c in captures)
        if self._rates[key] < lowest:
            raise HearlessError(
                f"rate must be at most that of the recordings, got {lowest} Hz for files of {self._rates[key]} Hz; "
                "lower --rate."
            )
        rate = min(max(c.source_rate_hz for c in captures), self._rates[key])
        if (key, rate) not in self._stores:
            self._stores[key, rate] = open_store(table, rate, progress=self.decoding)
        return self._stores[key, rate]

    def folder(self, recipe: Recipe) -> Path:
        """Return the folder of a recipe's runs on its data; one made under another name is found again."""
        key = digest([recipe.digest, self.table(recipe.dataset).digest])
        found = sorted(self.runs.glob(f"*-{key}"))
        return found[0] if found else self.runs / f"{recipe.name.replace('/', '-')}-{key}"

    def run(self, recipe: Recipe, fold: str, seed: int, part: Part | None = None) -> Run:
        """Return the finished run of a recipe on a fold with a seed: found, resumed or made."""
        name = f"fold{fold}-seed{seed}" + (f"-part{part.number}of{part.of}" if part else "")
        run = Run(self.folder(recipe) / name)
        if not run.done:
            self._locked_make(run, recipe, fold, seed, part)
        return run

    def _locked_make(self, run: Run, recipe: Recipe, fold: str, seed: int, part: Part | None) -> None:
        with run.locked():
            if not run.done or not run.checkpoint(_selected(recipe)).is_file():
                self._make(run, recipe, fold, seed, part)

    def _with_weights(self, recipe: Recipe, fold: str, seed: int, part: Part | None = None) -> Run:
        """Return a finished run whose weights are at hand: one that kept only its results is trained again."""
        run = self.run(recipe, fold, seed, part)
        if not run.checkpoint(_selected(recipe)).is_file():
            self._locked_make(run, recipe, fold, seed, part)
        return run

    def folds(self, dataset: Spec, wanted: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the folds asked for, or all of the data set's."""
        known = splits.folds(self.table(dataset).clips)
        if unknown := [fold for fold in wanted if fold not in known]:
            raise HearlessError(f"folds must be among {', '.join(known)}, got {', '.join(unknown)}.")
        return tuple(wanted) or known

    def _make(self, run: Run, recipe: Recipe, fold: str, seed: int, part: Part | None) -> None:
        began = time.perf_counter()
        bench = _Bench.prepare(self, recipe, fold, seed, part)
        teacher = self._running(recipe.teacher, bench)
        self.say(f"trains {run.path.parent.name}/{run.path.name}")
        pipeline = self._student(recipe, bench)
        bench.check_lengths(pipeline)
        self._write_facts(run, recipe, bench, pipeline)
        explain = self._explain(recipe, teacher, bench)
        Training(
            recipe, pipeline, bench.loader(bench.training), bench.loader(bench.validation), run, seed, explain,
            self.torch_device, lambda tick: self.tick(f"{recipe.name} {run.path.name}", tick),
        ).fit()  # fmt: skip
        found = evaluate.predictions(pipeline, bench.loader(bench.validation), torch_device=self.torch_device)
        found.save(run.predictions("validation"))
        scores = evaluate.measures(found, multi_label=bench.table.multi_label)
        if part is None:
            tested = evaluate.predictions(pipeline, bench.loader(bench.test), torch_device=self.torch_device)
            tested.save(run.predictions("test"))
        run.write("done.json", {"seconds": time.perf_counter() - began, "validation": scores})

    def _write_facts(self, run: Run, recipe: Recipe, bench: _Bench, pipeline: Pipeline) -> None:
        run.write("recipe.json", recipe.to_json())
        run.write("environment.json", {**environment(), "commit": git_commit(Path(__file__).parent)})
        rows = {"training": bench.training, "validation": bench.validation, "test": bench.test}
        run.write("clips.json", {side: sorted({c.group for c in clips}) for side, clips in rows.items()})
        run.write("measured.json", {
            "labels": bench.table.labels, "multi_label": bench.table.multi_label, "clip_s": bench.clip_s,
            "source_rate_hz": bench.store.rate_hz, "fold": bench.fold, "seed": bench.seed,
            "parameters": sum(p.numel() for p in pipeline.parameters()),
            "n_clips": {side: len(clips) for side, clips in rows.items()},
        })  # fmt: skip

    def _student(self, recipe: Recipe, bench: _Bench) -> Pipeline:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(bench.seed)
            pipeline = recipe.student.build(len(bench.table.labels))
        if isinstance(recipe.initial, Pretrained):
            initial = recipe.initial
            load_pretrained(pipeline, initial.weights, initial.sha256, replace_output=recipe.student.head is None)
        elif isinstance(recipe.initial, Trained):
            earlier = self._with_weights(_recipe(recipe.initial), bench.fold, _seed(recipe.initial, bench))
            load_parts(pipeline, earlier, _selected(earlier.recipe))
        return pipeline

    def pipeline(self, run: Run) -> Pipeline:
        """Return a finished run's pipeline in eval mode, on this lab's torch device."""
        recipe, labels = run.recipe, run.measured["labels"]
        pipeline = recipe.student.build(len(labels))
        load_parts(pipeline, run, _selected(recipe))
        return pipeline.on(self.torch_device).eval()

    def _running(self, teacher: Teacher | None, bench: _Bench) -> Running | None:
        """Resolve a teacher to pipelines that can listen, training what is missing."""
        match teacher:
            case None:
                return None
            case Trained():
                return Running((self._taught(teacher, bench),), None, self.torch_device)
            case Pretrained():
                if teacher.pipeline is None:
                    raise HearlessError("Pretrained needs pipeline=… where it teaches as it is.")
                pipeline = teacher.pipeline.build(len(bench.table.labels))
                load_pretrained(pipeline, teacher.weights, teacher.sha256, replace_output=False)
                return Running((pipeline.on(self.torch_device).eval(),), None, self.torch_device)
            case CrossFitted():
                return self._cross_fitted(teacher, bench)
            case Fused():
                each = [self._running(one, bench) for one in teacher.teachers]
                return Running(tuple(p for one in each if one for p in one.pipelines), None, self.torch_device)

    def _taught(self, teacher: Trained | CrossFitted, bench: _Bench, part: Part | None = None) -> Pipeline:
        run = self._with_weights(_recipe(teacher), bench.fold, _seed(teacher, bench), part)
        check_teacher_leak(run, bench.test)
        labels = run.measured["labels"]
        if tuple(labels) != bench.table.labels:
            raise HearlessError(
                f"teacher and student must share classes in one order, got {labels} and {bench.table.labels}."
            )
        return self.pipeline(run)

    def _cross_fitted(self, teacher: CrossFitted, bench: _Bench) -> Running:
        parts = [Part(n, teacher.n_parts) for n in range(teacher.n_parts)]
        pipelines = tuple(self._taught(teacher, bench, part) for part in parts)
        held = _dealt(bench.training, teacher.n_parts, _seed(teacher, bench))
        return Running(pipelines, {clip.id: n for n, clips in enumerate(held) for clip in clips}, self.torch_device)

    def _explain(self, recipe: Recipe, teacher: Running | None, bench: _Bench) -> Explain | None:
        if teacher is None or not recipe.stored_draws:
            return teacher
        loader = bench.loader(bench.training)
        heard = [a.to_json() for a in recipe.augmentations]
        ids = [c.id for c in bench.training]
        assert recipe.teacher is not None
        taught = [_without_names(recipe.teacher.to_json()), bench.table.digest, bench.fold, bench.seed]
        key = digest([taught, heard, bench.clip_s, bench.store.rate_hz, ids])
        return store(teacher, loader, recipe.stored_draws, self.runs / "logits" / key)

    def heard_through(self, run: Run, view: PipelineSpec) -> Predictions:
        """Return a run's test predictions through another view (the raw condition), kept beside its own."""
        path = run.predictions(f"test-{digest(view.to_json())}")
        if not path.is_file():
            recipe = run.recipe
            bench = _Bench.prepare(
                self, replace(recipe, student=view), run.measured["fold"], run.measured["seed"], None
            )
            pipeline = view.build(len(bench.table.labels))
            load_parts(pipeline, run, _selected(recipe))
            pipeline.on(self.torch_device)
            evaluate.predictions(pipeline, bench.loader(bench.test), torch_device=self.torch_device).save(path)
        return Predictions.load(path)

    def choose(self, row: Row, fold: str, seed: int) -> int:
        """Return which option a row takes on a fold: the best on that fold's validation part."""
        if len(row.options) == 1:
            return 0
        scores = [self._validated(recipe, fold, seed) for recipe in row.judges]
        return int(np.argmax(scores))

    def _validated(self, recipe: Recipe, fold: str, seed: int) -> float:
        found = self.run(recipe, fold, seed).read("done.json")["validation"]
        direction, _, name = recipe.select.partition(":")
        return float(found[name or "accuracy"]) * (-1.0 if direction == "min" else 1.0)

    def study(self, study: Study, command: str = "") -> Report:
        """Train and evaluate every row of a study and return its table; a failed run leaves a hole, the rest go on."""
        dataset = study.rows[0].options[0].dataset
        table, folds = self.table(dataset), self.folds(dataset, study.folds)
        rows: list[evaluate.Evaluated] = []
        for row in study.rows:
            rows.append(self._row(study, row, row.folds or folds))
        return evaluate.tabulate(
            study, rows, table.labels, table.multi_label, command=command, commit=git_commit(Path(__file__).parent)
        )

    def _row(self, study: Study, row: Row, folds: Sequence[str]) -> evaluate.Evaluated:
        found = evaluate.Evaluated(row)
        seeds = row.seeds or study.seeds
        paper = row.options[0].protocol == "paper"
        for fold in folds:
            try:
                choice = self.choose(row, folds[0] if paper else fold, seeds[0])
                found.choices[fold] = choice
                for seed in seeds:
                    run = self.run(row.options[choice], fold, seed)
                    heard = self.heard_through(run, row.heard_through) if row.heard_through else None
                    judged = heard or Predictions.load(run.predictions(study.judged_on))
                    found.add(fold, seed, judged, run.read("done.json")["seconds"])
            except HearlessError as error:
                self.say(f"{row.label}, fold {fold}: {error}")
                found.hole = f"fold {fold}: {error}"
        return found


@dataclass(frozen=True)
class _Bench:
    """What one run works with: its clips, their sound, and how they are served."""

    recipe: Recipe
    table: Table
    store: AudioStore
    training: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...]
    fold: str
    seed: int
    clip_s: float

    @classmethod
    def prepare(cls, lab: Lab, recipe: Recipe, fold: str, seed: int, part: Part | None) -> _Bench:
        table = lab.table(recipe.dataset)
        sides = splits.parts(table.clips, fold)
        training, validation = sides.train, sides.validation
        if not validation:
            training, validation = splits.hold_out(sides.train, recipe.validation, seed)
        if part:
            held = {c.id for c in _dealt(training, part.of, seed)[part.number]}
            training = [clip for clip in training if clip.id not in held]
        store = lab.store(table, [spec.build() for spec in captures(recipe)])
        clip_s = recipe.clip_s or max(store.seconds(clip) for clip in training)
        return cls(recipe, table, store, tuple(training), tuple(validation), tuple(sides.test), fold, seed, clip_s)

    def loader(self, clips: tuple[Clip, ...]) -> Loader:
        augmentations = tuple(spec.build() for spec in self.recipe.augmentations)
        recipe = self.recipe
        return Loader(self.table, self.store, clips, self.clip_s, recipe.batch_size, recipe.balance, augmentations)

    def check_lengths(self, pipeline: Pipeline) -> None:
        """Refuse clips that give the classifier too few frames, all of them listed, before any epoch runs."""
        clips = (*self.training, *self.validation, *self.test)
        lengths = {c.id: self.clip_s if self.recipe.clip_s else self.store.seconds(c) for c in clips}
        wrong = []
        for clip in clips:
            try:
                pipeline.check_length(lengths[clip.id])
            except HearlessError as error:
                wrong.append(f"{clip.id}: {error}")
        if wrong:
            listed = "\n  ".join(wrong[:10])
            raise HearlessError(f"{len(wrong)} clips are too short:\n  {listed}")


def captures(recipe: Recipe) -> list[Spec]:
    """Return the captures of the student and of every teacher, earlier generations included."""
    found = [recipe.student.capture]
    todo: list[Any] = [recipe.teacher]
    while todo:
        match todo.pop():
            case Fused(teachers=teachers):
                todo += teachers
            case Trained(recipe=inner) | CrossFitted(recipe=inner):
                found += captures(_as_recipe(inner))
            case Pretrained(pipeline=PipelineSpec() as pipeline):
                found.append(pipeline.capture)
            case _:
                pass
    return found


def check_teacher_leak(teacher: Run, test: Sequence[Clip]) -> None:
    """Refuse a teacher that has trained on, or was chosen by, a recording of the student's test fold."""
    known = teacher.read("clips.json")
    seen = {*known["training"], *known["validation"]} & {clip.group for clip in test}
    if seen:
        names = ", ".join(sorted(seen)[:5])
        raise HearlessError(
            f"leak: the teacher {teacher.path.name} was trained on {len(seen)} recordings of the student's test fold "
            f"({names}); train it on the student's own folds."
        )


def _dealt(clips: Sequence[Clip], n: int, seed: int) -> list[list[Clip]]:
    """Deal clips into ``n`` parts, recordings together."""
    dealt = splits.draw_folds([replace(c, fold=None, split=None) for c in clips], n, seed)
    names = sorted({str(c.fold) for c in dealt}, key=splits.natural)
    return [[c for c in dealt if c.fold == name] for name in names]


def _without_names(data: Any) -> Any:
    if isinstance(data, dict):
        return {k: _without_names(v) for k, v in data.items() if not (k == "name" and "stages" in data)}
    return [_without_names(v) for v in data] if isinstance(data, list) else data


def _as_recipe(named: Any) -> Recipe:
    if not isinstance(named, Recipe):
        raise HearlessError(f"a teacher's recipe must be a Recipe, got {type(named).__name__}.")
    return named


def _recipe(teacher: Trained | CrossFitted) -> Recipe:
    return _as_recipe(teacher.recipe)


def _seed(teacher: Trained | CrossFitted, bench: _Bench) -> int:
    return bench.seed if teacher.seed is None else teacher.seed


def _selected(recipe: Recipe) -> str:
    return "last" if recipe.select == "last" else "best"
