"""The lab: finds or makes runs.

``Lab.run(recipe, fold, seed)`` resolves the teachers first, on the student's own fold and seed unless the teacher
states its own, and returns a run that is done: found, resumed or made.  Only this module does so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hearless import audio, details, evaluate, splits
from hearless.augmentations.device_impulse_response import DeviceImpulseResponse, energy
from hearless.captures.simulated_device import SimulatedDevice
from hearless.captures.third_octave import ThirdOctave
from hearless.costs import costs
from hearless.fusion import Fusion, fitted
from hearless.interfaces import Capture, Clip, HearlessError
from hearless.labels import label_names
from hearless.loading import AudioStore, Loader, Progress, Table, highest_rate_hz, open_store, read_table
from hearless.pipeline import Pipeline, PipelineSpec
from hearless.provenance import environment, git_commit
from hearless.quantize import check_backend
from hearless.recipe import Recipe, identity
from hearless.report import Report
from hearless.responses import check_apart
from hearless.run import Predictions, Run
from hearless.search import Range, Tried, Values, search
from hearless.spec import Spec, digest, to_plain
from hearless.study import Row, Study
from hearless.teachers import CrossFitted, Fused, Pretrained, Teacher, Trained
from hearless.teaching import (
    AtWork,
    Explain,
    Running,
    Stored,
    Together,
    is_whole,
    plain,
    store,
    store_each,
    store_plain,
    stored,
    stored_together,
)
from hearless.train import Tick, Training, check_select, final, load_parts, noise, quantize
from hearless.weights import find, load_pretrained

MEDIAN_CLIPS = 200
"""Training clips, at most, that a level sensor's median levels are measured on."""

ENERGY_CLIPS = 5000
"""Training clips, at most, whose energy is told."""

SILENT_DB = -100.0
"""A level below it is digital silence, which no meter writes."""


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
    _checked: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            torch.empty(0, device=self.torch_device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise HearlessError(
                f"torch_device must be one that this machine has, got {self.torch_device!r} ({error}); cpu always is."
            ) from error

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
        if lowest > self._checked.get(key, 1):
            check_rates(table.clips, lowest)
            self._checked[key] = lowest
        wanted = max(c.source_rate_hz for c in captures)
        rate = min(wanted, self._rates[key])
        if (key, rate) not in self._stores:
            if rate < wanted:
                self.say(f"the recordings hold {rate} Hz, not {wanted}: what lies above {rate / 2:g} Hz stays silent.")
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
            for initial in initials(recipe):
                find(initial.weights, initial.sha256)
            self._locked_make(run, recipe, fold, seed, part)
        return run

    def _locked_make(self, run: Run, recipe: Recipe, fold: str, seed: int, part: Part | None) -> None:
        with run.locked():
            if not run.done or not _has_weights(run, recipe):
                self._make(run, recipe, fold, seed, part)

    def _with_weights(self, recipe: Recipe, fold: str, seed: int, part: Part | None = None) -> Run:
        """Return a finished run whose weights are at hand: one that kept only its results is trained again."""
        run = self.run(recipe, fold, seed, part)
        if not _has_weights(run, recipe):
            self._locked_make(run, recipe, fold, seed, part)
        return run

    def folds(self, dataset: Spec, wanted: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the folds asked for, or all of the data set's."""
        known = splits.folds(self.table(dataset).clips)
        if unknown := [fold for fold in wanted if fold not in known]:
            raise HearlessError(f"folds must be among {', '.join(known)}, got {', '.join(unknown)}.")
        return tuple(wanted) or known

    def _make(self, run: Run, recipe: Recipe, fold: str, seed: int, part: Part | None) -> None:
        bench = _Bench.prepare(self, recipe, fold, seed, part)
        pipeline = _fresh(recipe.student, bench.labels, seed)
        bench.check(pipeline)
        training = bench.loader(bench.training)
        listen = self._listening(recipe, bench, training)
        self._load_initial(pipeline, recipe, fold, seed)
        if isinstance(recipe.initial, Trained):
            check_teacher_leak(self._start(recipe.initial, fold, seed), bench.test, bench.table.hashes_of(bench.test))
        self.say(f"trains {run.path.parent.name}/{run.path.name}")
        earlier, began = _seconds(run), time.perf_counter()
        self._write_facts(run, recipe, bench, pipeline)
        explain = listen()
        if isinstance(explain, Together | Stored) and explain.fusion:
            run.write("measured.json", {**run.measured, "fusion": explain.fusion.to_json()})
        work = Training(
            recipe, pipeline, training, bench.loader(bench.validation), run, seed, explain,
            self.torch_device, lambda tick: self.tick(f"{recipe.name} {run.path.name}", tick),
            lambda student, epoch: self._heard(student, bench, bench.test, None).save(_after(run, epoch)),
        )  # fmt: skip
        work.fit()
        found = self._heard(pipeline, bench, bench.validation, work.beside)
        found.save(run.predictions("validation"))
        scores = evaluate.measures(found, multi_label=bench.table.multi_label)
        if part is None:
            self._heard(pipeline, bench, bench.test, work.beside).save(run.predictions("test"))
            _keep_last(run, [*range(work.n_epochs - recipe.average_last + 1, work.n_epochs + 1)])
        self._calibrate(run, pipeline, bench)
        run.write("done.json", {"seconds": earlier + time.perf_counter() - began, "validation": scores})

    def _calibrate(self, run: Run, pipeline: Pipeline, bench: _Bench) -> None:
        """Write into a run's measured.json how far its scores can be trusted, and how much noise it gives a class."""
        rule, rate_hz = evaluate.calibration_of(run), bench.store.rate_hz
        if rule is None:
            return
        shares = evaluate.noise_named(
            pipeline, round(bench.clip_s * rate_hz), rate_hz, rule, multi_label=bench.table.multi_label,
            torch_device=self.torch_device,
        )  # fmt: skip
        evaluate.keep_calibration(run, noise_named=shares)

    def _heard(
        self, pipeline: Pipeline, bench: _Bench, clips: tuple[Clip, ...], beside: evaluate.Explain | None
    ) -> Predictions:
        found = evaluate.predictions(pipeline, bench.loader(clips), torch_device=self.torch_device, explain=beside)
        trained = sorted({clip.device for clip in bench.training if clip.device})
        return found if found.devices is None else replace(found, seen=np.isin(found.devices, trained))

    def _write_facts(self, run: Run, recipe: Recipe, bench: _Bench, pipeline: Pipeline) -> None:
        run.write("recipe.json", recipe.to_json())
        run.write("environment.json", {**environment(), "commit": git_commit(Path(__file__).parent)})
        rows = {"training": bench.training, "validation": bench.validation, "test": bench.test}
        known = sorted({one[:16] for one in bench.table.hashes_of((*bench.training, *bench.validation))})
        groups = {side: sorted({c.group for c in clips}) for side, clips in rows.items()}
        run.write("clips.json", {**groups, "files": known})
        run.write("measured.json", {
            "labels": bench.labels, "multi_label": bool(recipe.classes) or bench.table.multi_label,
            "clip_s": bench.clip_s,
            "source_rate_hz": bench.store.rate_hz, "fold": bench.fold, "seed": bench.seed,
            "parameters": sum(p.numel() for p in pipeline.parameters()),
            "n_clips": {side: len(clips) for side, clips in rows.items()}, **_levels_fact(pipeline, bench),
            **_energy_fact(bench),
        })  # fmt: skip

    def _load_initial(self, pipeline: Pipeline, recipe: Recipe, fold: str, seed: int) -> None:
        """Give a student the weights that its recipe starts from."""
        initial = recipe.initial
        if isinstance(initial, Pretrained):
            fresh = recipe.student.head is None and not recipe.classes  # the file's classes are not the student's
            load_pretrained(pipeline, initial.weights, initial.sha256, replace_output=fresh)
        elif isinstance(initial, Trained):
            run = self._start(initial, fold, seed)
            self._load_trained(pipeline, run, _recipe(initial), initial.fold_beside(fold), _seed(initial, seed))

    def _start(self, initial: Trained, fold: str, seed: int) -> Run:
        return self._with_weights(_recipe(initial), initial.fold_beside(fold), _seed(initial, seed))

    def _load_trained(self, pipeline: Pipeline, run: Run, recipe: Recipe, fold: str, seed: int) -> None:
        """Give a pipeline a finished run's weights: what it trained, on what it started from."""
        if not set(pipeline.parts()) <= {part for stage in recipe.stages for part in stage.trains}:
            self._load_initial(pipeline, recipe, fold, seed)
        if recipe.quantized:
            quantize(pipeline, noise(pipeline, run.measured["clip_s"]), recipe.quantized)
        if recipe.stages:
            load_parts(pipeline, run, _selected(recipe))
            pipeline.classifier = final(pipeline).classifier

    def pipeline(self, run: Run, view: PipelineSpec | None = None) -> Pipeline:
        """Return a finished run's pipeline, or its weights behind another view, in eval mode on the torch device."""
        recipe, measured = run.recipe, run.measured
        pipeline = _fresh(view or recipe.student, measured["labels"], measured["seed"])
        self._load_trained(pipeline, run, recipe, measured["fold"], measured["seed"])
        return pipeline.on(self.torch_device).eval()

    def _listening(self, recipe: Recipe, bench: _Bench, training: Loader) -> Callable[[], Explain | None]:
        """Train the teachers that are needed; return what lets them listen and explain.

        Stored logits are looked for first, under one teacher's name (as early runs have them for several too), then
        each teacher's own.
        """
        teacher, draws, own = recipe.teacher, recipe.stored_draws, self._logits_folder(recipe, bench)
        if teacher is None or not draws:
            running = self._running(teacher, bench)
            return lambda: running
        fits = isinstance(teacher, Fused) and teacher.how == "fitted"
        kept = None if fits else stored(training, draws, own, self.torch_device)
        if kept:
            return lambda: kept
        if isinstance(teacher, Fused):
            return self._listening_together(teacher, bench, training, draws)
        one = self._running(teacher, bench)
        return lambda: store(one, training, draws, own) if one else None

    def _listening_together(
        self, teacher: Fused, bench: _Bench, training: Loader, draws: int
    ) -> Callable[[], Explain]:  # fmt: skip
        """As `_listening`, of several teachers: only those listen whose logits are missing, all in one pass."""
        folders = [self._member_folder(one, bench, bench.training) for one in teacher.teachers]
        at_work = self._needed(teacher, folders, bench, lambda folder: is_whole(folder, training, draws))
        fusion = self._fusion(teacher, bench) if teacher.how == "fitted" else None

        def listen() -> Explain:
            if at_work:
                self.say(f"{len(at_work)} teachers listen to {draws} draws of {len(bench.training)} clips")
            store_each(at_work, training, draws)
            return stored_together(training, draws, folders, fusion, self.torch_device)

        return listen

    def _needed(
        self, teacher: Fused, folders: Sequence[Path], bench: _Bench, is_there: Callable[[Path], bool]
    ) -> dict[Path, AtWork]:
        """Return the teachers whose logits are not there, ready to listen."""
        missing = [(one, folder) for one, folder in zip(teacher.teachers, folders, strict=True) if not is_there(folder)]
        found = {folder: self._running(one, bench) for one, folder in missing}
        return {folder: one for folder, one in found.items() if one}

    def _fusion(self, teacher: Fused, bench: _Bench) -> Fusion:
        """Fit equation 4 on the fold's validation part, as it is."""
        clips = bench.validation
        folders = [self._member_folder(one, bench, clips, plain=True) for one in teacher.teachers]
        loader = bench.loader(clips)
        if (each := plain(loader, folders)) is None:
            for one in teacher.teachers:
                self._check_held_out(one, bench)
            at_work = self._needed(teacher, folders, bench, lambda folder: plain(loader, [folder]) is not None)
            store_plain(at_work, loader)
            each = plain(loader, folders)
        if each is None:
            raise HearlessError(f"stored teacher logits in {folders[0].parent} vanished; run again.")
        return fitted(each, bench.table.targets(clips), multi_label=bench.table.multi_label)

    def _check_held_out(self, teacher: Teacher, bench: _Bench) -> None:
        """Refuse to fit a fusion on recordings that one of its teachers has trained on."""
        if not isinstance(teacher, Trained | CrossFitted):
            return
        n_parts = teacher.n_parts if isinstance(teacher, CrossFitted) else 0
        fold = teacher.fold_beside(bench.fold) if isinstance(teacher, Trained) else bench.fold
        parts: list[Part | None] = [Part(n, n_parts) for n in range(n_parts)]
        for part in parts or [None]:
            run = self.run(_recipe(teacher), fold, _seed(teacher, bench.seed), part)
            known = set(run.read("clips.json")["training"]) & {clip.group for clip in bench.validation}
            if not known:
                continue
            raise HearlessError(
                f"how='fitted' needs validation recordings that no teacher has trained on, but "
                f"{run.path.parent.name}/{run.path.name} trained on {len(known)} of them "
                f"({', '.join(sorted(known)[:3])}); give teachers and student the same validation_seed."
            )

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
        recipe, measured = run.recipe, run.measured
        bench = _Bench.prepare(self, recipe, measured["fold"], measured["seed"], None)
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
        loader = replace(bench.loader(clips[:: -(-len(clips) // n_clips)]), augmentations=())
        sensor = recipe.student.capture.build().eval()
        return torch.cat([sensor(batch.waveform, batch.rate_hz, batch.devices) for batch in loader.in_order()])

    def _running(self, teacher: Teacher | None, bench: _Bench) -> AtWork | None:
        """Resolve a teacher to pipelines that can listen, training what is missing."""
        match teacher:
            case None:
                return None
            case Trained():
                return Running((self._taught(teacher, bench),), None, self.torch_device, (_view_of(teacher.recipe),))
            case Pretrained():
                if teacher.pipeline is None:
                    raise HearlessError("Pretrained needs pipeline=… where it teaches as it is.")
                pipeline = teacher.pipeline.build(len(bench.labels))
                load_pretrained(pipeline, teacher.weights, teacher.sha256, replace_output=False)
                return Running((pipeline.on(self.torch_device).eval(),), None, self.torch_device)
            case CrossFitted():
                return self._cross_fitted(teacher, bench)
            case Fused():
                each = [self._running(one, bench) for one in teacher.teachers]
                fusion = self._fusion(teacher, bench) if teacher.how == "fitted" else None
                return Together(tuple(one for one in each if one), fusion)

    def _taught(self, teacher: Trained | CrossFitted, bench: _Bench, part: Part | None = None) -> Pipeline:
        fold = teacher.fold_beside(bench.fold) if isinstance(teacher, Trained) else bench.fold
        run = self._with_weights(_recipe(teacher), fold, _seed(teacher, bench.seed), part)
        check_teacher_leak(run, bench.test, bench.table.hashes_of(bench.test))
        check_classes(run.measured["labels"], bench.labels)
        return self.pipeline(run)

    def _cross_fitted(self, teacher: CrossFitted, bench: _Bench) -> Running:
        parts = [Part(n, teacher.n_parts) for n in range(teacher.n_parts)]
        pipelines = tuple(self._taught(teacher, bench, part) for part in parts)
        seed = _seed(teacher, bench.seed)
        runs = [self.run(_recipe(teacher), bench.fold, seed, part) for part in parts]
        return Running(pipelines, _explainers(bench.training, runs), self.torch_device)

    def _logits_folder(self, recipe: Recipe, bench: _Bench) -> Path:
        """Return where stored logits lie: by teacher, fold, seed, clips and what is done to them; never by paths."""
        heard: list[Any] = [a.to_json() for a in recipe.augmentations]
        heard += ["peak_normalised"] if recipe.peak_normalised else []
        ids = [c.id for c in bench.training]
        taught = [identity(to_plain(recipe.teacher)), bench.table.digest, bench.fold, bench.seed]
        return self.runs / "logits" / digest([taught, heard, bench.clip_s, bench.store.rate_hz, ids])

    def _member_folder(self, teacher: Teacher, bench: _Bench, clips: Sequence[Clip], *, plain: bool = False) -> Path:
        """Return where one of several teachers' logits lie: by what it is and what it hears, whoever its students are.

        Changes that the student alone hears stay out; ``plain``: of clips as they are.
        """
        made = [] if plain else [(i, a.to_json(), a.build().hearers) for i, a in enumerate(bench.recipe.augmentations)]
        heard: list[Any] = [[place, identity(json)] for place, json, hearers in made if hearers == "both"]
        heard += ["peak_normalised"] if bench.recipe.peak_normalised else []
        taught = [identity(to_plain(_settled(teacher, bench.fold, bench.seed))), bench.table.digest, bench.fold]
        key = ["one of several", taught, heard, bench.clip_s, bench.store.rate_hz, [c.id for c in clips]]
        return self.runs / "logits" / digest(key)

    def heard_through(
        self, recipe: Recipe, fold: str, seed: int, view: PipelineSpec, side: str = "test"
    ) -> Predictions:
        """Return a run's predictions through a view (the raw condition), kept beside its own.

        ``side`` says of which clips: "test", "validation" or "training".
        """
        path = self.run(recipe, fold, seed).predictions(f"{side}-{digest(view.to_json())}")
        if not path.is_file():
            run = self._with_weights(recipe, fold, seed)
            what = "its training clips" if side == "training" else "clips through another view"
            self.say(f"listens with {run.path.parent.name}/{run.path.name} to {what}")
            bench = _Bench.prepare(self, replace(recipe, student=view), fold, seed, None)
            teacher = self._running(recipe.teacher, bench) if recipe.classes else None
            clips = {"test": bench.test, "validation": bench.validation, "training": bench.training}[side]
            self._heard(self.pipeline(run, view), bench, clips, teacher).save(path)
        return Predictions.load(path)

    def listener(self, recipe: Recipe, fold: str, seed: int, view: PipelineSpec | None = None) -> Pipeline:
        """Return a recipe's pipeline on a fold with a seed, trained if need be: see `pipeline`."""
        return self.pipeline(self._with_weights(recipe, fold, seed), view)

    def loaders(self, recipe: Recipe, fold: str, seed: int) -> dict[str, Loader]:
        """Return the clips that a recipe trains on, is chosen by and is tested on, each as its runs hear them."""
        bench = _Bench.prepare(self, recipe, fold, seed, None)
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
        self.say(f"searches {', '.join(one.name for one in space)} on fold {fold}: {trials} trials")
        return search(
            f"{start.name}-{key}", space, lambda values: self._validated(make(values), fold, seed), trials=trials,
            storage=storage or f"sqlite:///{self.runs.resolve() / 'searches.sqlite3'}", seed=seed, first=first,
            where=str(self.runs.resolve()), say=self.say,
        )  # fmt: skip

    def study(self, study: Study, command: str = "") -> Report:
        """Train and evaluate every row of a study and return its table; a failed run leaves a hole, the rest go on."""
        dataset = study.rows[0].options[0].dataset
        table, folds = self.table(dataset), self.folds(dataset, study.folds)
        missing = [o for r in study.rows for o in r.options if not self._kept(o, r.folds or folds, study.seeds[0])]
        for initial in dict.fromkeys(one for option in missing for one in initials(option)):
            find(initial.weights, initial.sha256)
        rows: list[evaluate.Evaluated] = []
        for row in study.rows:
            rows.append(self._row(study, row, row.folds or folds))
        classes = study.rows[0].options[0].classes
        labels = label_names(classes) if classes else table.labels
        report = evaluate.tabulate(
            study, rows, labels, table.multi_label, command=command, commit=git_commit(Path(__file__).parent)
        )
        if not study.also:
            return report
        teach = "teaching_entropy" in study.also and report.columns[0] == "accuracy"
        taught = {done.row.label: self._as_teacher(done) for done in rows} if teach else {}
        return details.detailed(report, study, rows, labels, taught)

    def _as_teacher(self, done: evaluate.Evaluated) -> dict[tuple[str, int], Predictions]:
        """Return what a row's runs say of the clips they were trained on, as their students hear it."""
        each = {place: done.row.options[done.choices[place[0]]] for place in done.found}
        return {
            (fold, seed): self.heard_through(recipe, fold, seed, recipe.student, "training")
            for (fold, seed), recipe in each.items()
        }

    def _kept(self, recipe: Recipe, folds: Sequence[str], seed: int) -> bool:
        return all(Run(self.folder(recipe) / f"fold{fold}-seed{seed}").done for fold in folds)

    def _row(self, study: Study, row: Row, folds: Sequence[str]) -> evaluate.Evaluated:
        found = evaluate.Evaluated(row)
        seeds = row.seeds or study.seeds
        paper = row.options[0].protocol != "honest"
        for fold in folds:
            try:
                choice = self.choose(row, folds[0] if paper else fold, seeds[0])
                found.choices[fold] = choice
                for seed in seeds:
                    run = self.run(row.options[choice], fold, seed)
                    judged = self._judged(study, row, choice, fold, seed)
                    found.add(fold, seed, judged, run.read("done.json")["seconds"])
                    found.runs += [] if row.heard_through else [f"{run.path.parent.name}/{run.path.name}"]
                    found.costs = found.costs or self._costs(study, row.options[choice], run)
            except HearlessError as error:
                self.say(f"{row.label}, fold {fold}: {error}")
                found.hole = f"fold {fold}: {error}"
        return found

    def _costs(self, study: Study, recipe: Recipe, run: Run) -> dict[str, float]:
        """Return what a study wants of a recipe's costs, on the clips and classes of a run."""
        if not study.costs:
            return {}
        return costs(recipe, run.measured["labels"], run.measured["clip_s"], study.costs, self.runs / "costs")

    def _judged(self, study: Study, row: Row, choice: int, fold: str, seed: int) -> Predictions:
        recipe = row.options[choice]
        if row.heard_through:
            return self.heard_through(recipe, fold, seed, row.heard_through, study.judged_on)
        last = study.judged_on == "test" and recipe.average_last
        return Predictions.load(self.run(recipe, fold, seed).predictions("test-last" if last else study.judged_on))


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
            drawn = seed if recipe.validation_seed is None else recipe.validation_seed
            training, validation = splits.hold_out(sides.train, recipe.validation, drawn)
        if recipe.train_on_validation:
            training = [*training, *validation]
        training = splits.share(training, recipe.training_share)
        if part:
            held = {c.id for c in _dealt(training, part.of, seed)[part.number]}
            training = [clip for clip in training if clip.id not in held]
        store = lab.store(table, [spec.build() for spec in captures(recipe)])
        clip_s = recipe.clip_s or max(store.seconds(clip) for clip in training)
        return cls(recipe, table, store, tuple(training), tuple(validation), tuple(sides.test), fold, seed, clip_s)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that the student tells apart."""
        return label_names(self.recipe.classes) if self.recipe.classes else self.table.labels

    def loader(self, clips: tuple[Clip, ...]) -> Loader:
        augmentations = tuple(spec.build() for spec in self.recipe.augmentations)
        recipe = self.recipe
        return Loader(
            self.table, self.store, clips, self.clip_s, recipe.batch_size, recipe.balance, augmentations,
            recipe.peak_normalised,
        )  # fmt: skip

    def check(self, pipeline: Pipeline) -> None:
        """Refuse what could not be trained, before any epoch, the teacher's included, runs."""
        check_select(self.recipe, multi_label=self.table.multi_label)
        for made in (*self.recipe.augmentations, *(o for stage in self.recipe.stages for o in stage.objectives)):
            made.build()
        if self.recipe.quantized:
            check_backend(self.recipe.quantized)
        self._check_devices(pipeline)
        self._check_lengths(pipeline)

    def _check_devices(self, pipeline: Pipeline) -> None:
        """Refuse to augment with the response of a device that is tested."""
        capture, made = pipeline.capture, [spec.build() for spec in self.recipe.augmentations]
        tested = sorted({clip.device for clip in self.test if clip.device})
        for augmentation in made:
            if isinstance(capture, SimulatedDevice) and isinstance(augmentation, DeviceImpulseResponse):
                check_apart(augmentation.pool(capture.rate_hz), capture.responses_of(tested))

    def _check_lengths(self, pipeline: Pipeline) -> None:
        """Refuse clips that give the classifier too few frames, all of them listed."""
        clips = (*self.training, *self.validation, *self.test)
        lengths = {c.id: self.clip_s if self.recipe.clip_s else self.store.seconds(c) for c in clips}
        wrong = []
        for clip in clips:
            try:
                pipeline.check_length(lengths[clip.id])
            except HearlessError as error:
                wrong.append(f"{clip.id}: {error}")
        if wrong:
            raise HearlessError(f"{len(wrong)} clips are too short:{_listed(wrong)}")


def captures(recipe: Recipe) -> list[Spec]:
    """Return the captures of the student and of every teacher, earlier generations included."""
    found = [recipe.student.capture]
    for one in _each(recipe.teacher):
        match one:
            case Trained(recipe=inner) | CrossFitted(recipe=inner):
                found += captures(_as_recipe(inner))
            case Pretrained(pipeline=PipelineSpec() as pipeline):
                found.append(pipeline.capture)
    return found


def initials(recipe: Recipe) -> list[Pretrained]:
    """Return the weights files that a recipe and its teachers start from or teach with."""
    found: list[Pretrained] = []
    for one in (*_each(recipe.initial), *_each(recipe.teacher)):
        match one:
            case Pretrained() if one is recipe.initial or one.pipeline:
                found.append(one)
            case Trained(recipe=inner) | CrossFitted(recipe=inner):
                found += initials(_as_recipe(inner))
    return list(dict.fromkeys(found))


def _each(teacher: Teacher | None) -> list[Teacher]:
    """Return a teacher's members, the last first; itself where it is not fused; none for None."""
    if isinstance(teacher, Fused):
        return [one for member in reversed(teacher.teachers) for one in _each(member)]
    return [] if teacher is None else [teacher]


def check_rates(clips: Sequence[Clip], lowest_hz: int) -> None:
    """Refuse recordings below the rate that a sensor samples at, all of them listed.

    Raises:
        HearlessError: names the files and their rates.
    """
    paths = dict.fromkeys(clip.path for clip in clips)
    slow = [f"{path}: {rate_hz} Hz" for path in paths if (rate_hz := audio.info(path).rate_hz) < lowest_hz]
    if slow:
        raise HearlessError(
            f"rate must be at most that of the recordings, got {lowest_hz} Hz, but {len(slow)} of {len(paths)} files "
            f"were recorded below it; lower --rate, or leave them out:{_listed(slow)}"
        )


def _listed(wrong: Sequence[str], shown: int = 10) -> str:
    more = f"\n  … and {len(wrong) - shown} more" if len(wrong) > shown else ""
    return "".join(f"\n  {one}" for one in wrong[:shown]) + more


def check_teacher_leak(teacher: Run, test: Sequence[Clip], hashes: Sequence[str] = ()) -> None:
    """Refuse a teacher that has trained on, or was chosen by, a recording of the student's test fold.

    ``hashes`` of the test clips' files tell it where another data set calls the recordings otherwise.
    """
    known = teacher.read("clips.json")
    seen = {*known["training"], *known["validation"]} & {clip.group for clip in test}
    files = set(known.get("files", ()))
    seen |= {clip.group for clip, one in zip(test, hashes, strict=False) if one[:16] in files}
    if seen:
        names = ", ".join(sorted(seen)[:5])
        raise HearlessError(
            f"leak: the teacher {teacher.path.name} was trained on {len(seen)} recordings of the student's test fold "
            f"({names}); train it on the student's own folds."
        )


def check_classes(teacher: Sequence[str], student: Sequence[str]) -> None:
    """Refuse a teacher whose classes are not the student's, in the same order; the difference is printed."""
    if list(teacher) == list(student):
        return
    said = [
        f"{whose} alone has {', '.join(names)}"
        for whose, names in (
            ("the teacher", [label for label in teacher if label not in student]),
            ("the student", [label for label in student if label not in teacher]),
        )
        if names
    ]
    place = next((i for i, (a, b) in enumerate(zip(teacher, student, strict=False)) if a != b), None)
    if place is not None:
        said.append(f"class {place + 1} is {teacher[place]!r} to the teacher and {student[place]!r} to the student")
    raise HearlessError(
        f"teacher and student must share their classes in one order, got {len(teacher)} and {len(student)}: "
        f"{'; '.join(said)}. Train the teacher on the student's data set."
    )


def _dealt(clips: Sequence[Clip], n: int, seed: int) -> list[list[Clip]]:
    """Deal clips into ``n`` parts, recordings together."""
    dealt = splits.draw_folds([replace(c, fold=None, split=None) for c in clips], n, seed)
    names = sorted({str(c.fold) for c in dealt}, key=splits.natural)
    return [[c for c in dealt if c.fold == name] for name in names]


def _explainers(clips: Sequence[Clip], copies: Sequence[Run]) -> dict[str, int]:
    """Say which copy of a cross-fitted teacher explains each clip: the one that alone did not train on it.

    A clip that none trained on is left out: all explain it.
    """
    trained = [set(copy.read("clips.json")["training"]) for copy in copies]
    unseen = {clip.id: [n for n, groups in enumerate(trained) if clip.group not in groups] for clip in clips}
    return {clip_id: who[0] for clip_id, who in unseen.items() if len(who) == 1}


def _levels_fact(pipeline: Pipeline, bench: _Bench) -> dict[str, list[float | None]]:
    """Return each band's median level over some training clips where the sensor keeps levels, None where silent."""
    if not isinstance(pipeline.capture, ThirdOctave):
        return {}
    clips = bench.training[:: -(-len(bench.training) // MEDIAN_CLIPS)]
    heard = [pipeline.observe(batch.waveform, batch.rate_hz) for batch in bench.loader(clips).in_order()]
    levels = torch.cat(heard).mT.flatten(0, 1).double().numpy()
    loud = [band[band > SILENT_DB] for band in levels.T]  # not what is filled up with zeros
    return {"median_db": [round(float(np.median(band)), 1) if len(band) else None for band in loud]}


def _seconds(run: Run) -> float:
    """Return how long the epochs took that a resumed run has behind it."""
    return sum(row["seconds"] for row in run.metrics()) if run.checkpoint("last").is_file() else 0.0


def _after(run: Run, epoch: int) -> Path:
    """Return where the test predictions after one of the last epochs lie until all are there."""
    return run.predictions(f"test-epoch{epoch}")


def _keep_last(run: Run, epochs: Sequence[int]) -> None:
    """Put the test predictions of the last epochs into one file, logits ``[epoch, clip, class]``."""
    each = [Predictions.load(_after(run, epoch)) for epoch in epochs]
    if each:
        replace(each[0], logits=np.stack([one.logits for one in each])).save(run.predictions("test-last"))
    for epoch in epochs:
        _after(run, epoch).unlink()


def _energy_fact(bench: _Bench) -> dict[str, Any]:
    """Return how the training clips' energy lies about the threshold of paper 004's ADIR, where a recipe has one.

    Of 5,000 clips at most; the histogram's edges are decades of Σx² of one second at 32 kHz.
    """
    made = [spec.build() for spec in bench.recipe.augmentations]
    thresholds = [a.energy_threshold for a in made if isinstance(a, DeviceImpulseResponse) and a.energy_threshold]
    if not thresholds:
        return {}
    clips = bench.training[:: -(-len(bench.training) // ENERGY_CLIPS)]
    found = torch.cat([energy(batch.waveform) for batch in bench.loader(clips).in_order()]).double().numpy()
    edges = 10.0 ** np.arange(-4, 6)
    counts = np.histogram(np.clip(found, edges[0], edges[-1]), edges)[0]
    return {"energy": {
        "mean": float(found.mean()), "median": float(np.median(found)), "n_clips": len(found),
        "share_above": float((found > thresholds[0]).mean()), "edges": edges.tolist(), "counts": counts.tolist(),
    }}  # fmt: skip


def _fresh(student: PipelineSpec, labels: Sequence[str], seed: int) -> Pipeline:
    """Build a pipeline whose random weights come from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return student.build(len(labels), labels)


def _view_of(named: Any) -> str:
    """Name what a recipe's student hears: capture and front end."""
    student = _as_recipe(named).student
    return digest([student.capture.to_json(), student.frontend.to_json()])


def _settled(teacher: Teacher, fold: str, seed: int) -> Teacher:
    """Return a teacher with the fold and the seed that it takes from its student."""
    match teacher:
        case Trained():
            return replace(teacher, fold=teacher.fold_beside(fold), seed=_seed(teacher, seed))
        case CrossFitted():
            return replace(teacher, seed=_seed(teacher, seed))
        case Fused():
            settled: Any = tuple(_settled(one, fold, seed) for one in teacher.teachers)
            return replace(teacher, teachers=settled)
        case _:
            return teacher


def _as_recipe(named: Any) -> Recipe:
    if not isinstance(named, Recipe):
        raise HearlessError(f"a teacher's recipe must be a Recipe, got {type(named).__name__}.")
    return named


def _recipe(teacher: Trained | CrossFitted) -> Recipe:
    return _as_recipe(teacher.recipe)


def _seed(teacher: Trained | CrossFitted, seed: int) -> int:
    return seed if teacher.seed is None else teacher.seed


def _has_weights(run: Run, recipe: Recipe) -> bool:
    """Say whether a run's trained weights are at hand; one without stages has none."""
    return not recipe.stages or run.checkpoint(_selected(recipe)).is_file()


def _selected(recipe: Recipe) -> str:
    return "last" if recipe.select == "last" else "best"
