"""The teachers of one run: found or trained, their logits stored or computed while the student trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hearless.fusion import Fusion, fitted
from hearless.interfaces import Clip, HearlessError
from hearless.lab.bench import Bench, Part
from hearless.lab.checks import check_classes, check_teacher_leak
from hearless.lab.named import recipe_of, seed_of, settled, trained_members, view_of
from hearless.loading import Loader
from hearless.pipeline import Pipeline
from hearless.plural import plural
from hearless.recipe import Recipe, identity
from hearless.run import Run, alone
from hearless.spec import digest, to_plain
from hearless.teachers import CrossFitted, Fused, Pretrained, Teacher, Trained
from hearless.teaching import (
    EMBEDDING,
    LOGITS,
    AtWork,
    Explain,
    Running,
    Together,
    is_whole,
    plain,
    store,
    store_each,
    store_plain,
    stored,
    stored_together,
)
from hearless.weights import load_pretrained

if TYPE_CHECKING:
    from hearless.lab.lab import Lab


@dataclass(frozen=True)
class Teachers:
    """The teachers of one run, found or made.

    Attributes:
        lab: where they are trained.
        bench: of their student.
    """

    lab: Lab
    bench: Bench

    def listening(self, training: Loader) -> Callable[[], Explain | None]:
        """Train the teachers that are needed; return what lets them listen and explain.

        Stored logits are looked for first, under one teacher's name (as early runs have them for several too), then
        each teacher's own.
        """
        recipe, own = self.bench.recipe, self.logits_folder()
        teacher, draws, kinds = recipe.teacher, recipe.stored_draws, self._kinds()
        if teacher is None or not draws:
            running = self.running(teacher)
            return lambda: running
        fits = isinstance(teacher, Fused) and teacher.how == "fitted"
        kept = None if fits else stored(training, draws, own, self.lab.torch_device, kinds)
        if kept:
            return lambda: kept
        if isinstance(teacher, Fused):
            return self._listening_together(teacher, training, draws)
        one = self.running(teacher)

        def listen() -> Explain | None:
            with alone(own):
                return store(one, training, draws, own, kinds=kinds) if one else None

        return listen

    def _kinds(self) -> tuple[str, ...]:
        """Return what is stored of a teacher: its embedding too where an objective compares it."""
        objectives = [objective.build() for stage in self.bench.recipe.stages for objective in stage.objectives]
        return (LOGITS, EMBEDDING) if any(one.needs == EMBEDDING for one in objectives) else (LOGITS,)

    def awaited(self) -> list[Trained]:
        """Return the runs whose weights the student needs: its start, and teachers whose logits are not stored."""
        recipe, teacher = self.bench.recipe, self.bench.recipe.teacher
        start = [recipe.initial] if isinstance(recipe.initial, Trained) else []
        if recipe.stored_draws and teacher is not None:
            return start + [one for member in self._unheard(teacher) for one in trained_members(member)]
        return start + trained_members(teacher)

    def _unheard(self, teacher: Teacher) -> list[Teacher]:
        """Return the members of a teacher whose stored logits are missing."""
        bench, draws = self.bench, self.bench.recipe.stored_draws
        training = bench.loader(bench.training)
        fits = isinstance(teacher, Fused) and teacher.how == "fitted"
        if not fits and is_whole(self.logits_folder(), training, draws, self._kinds()):
            return []
        if not isinstance(teacher, Fused):
            return [teacher]

        def is_heard(one: Teacher) -> bool:
            if not is_whole(self._member_folder(one, bench.training), training, draws):
                return False
            held = bench.validation  # a fusion is fitted on them as they are
            return not fits or plain(bench.loader(held), [self._member_folder(one, held, plain=True)]) is not None

        return [one for one in teacher.teachers if not is_heard(one)]

    def _listening_together(self, teacher: Fused, training: Loader, draws: int) -> Callable[[], Explain]:
        """As `listening`, of several teachers: only those listen whose logits are missing, all in one pass."""
        folders = [self._member_folder(one, self.bench.training) for one in teacher.teachers]
        at_work = self._needed(teacher, folders, lambda folder: is_whole(folder, training, draws))
        fusion = self._fusion(teacher) if teacher.how == "fitted" else None

        def listen() -> Explain:
            if at_work:
                who = plural(len(at_work), "teacher listens", "teachers listen")
                clips = plural(len(self.bench.training), "clip")
                self.lab.say(f"{who} to {plural(draws, 'draw')} of {clips}")
            with alone(folders[0]):
                store_each(at_work, training, draws)
            return stored_together(training, draws, folders, fusion, self.lab.torch_device)

        return listen

    def _needed(self, teacher: Fused, folders: Sequence[Path], is_there: Callable[[Path], bool]) -> dict[Path, AtWork]:
        """Return the teachers whose logits are not there, ready to listen."""
        missing = [(one, folder) for one, folder in zip(teacher.teachers, folders, strict=True) if not is_there(folder)]
        found = {folder: self.running(one) for one, folder in missing}
        return {folder: one for folder, one in found.items() if one}

    def _fusion(self, teacher: Fused) -> Fusion:
        """Fit equation 4 on the fold's validation part, as it is."""
        clips = self.bench.validation
        folders = [self._member_folder(one, clips, plain=True) for one in teacher.teachers]
        loader = self.bench.loader(clips)
        if (each := plain(loader, folders)) is None:
            for one in teacher.teachers:
                self._check_held_out(one)
            at_work = self._needed(teacher, folders, lambda folder: plain(loader, [folder]) is not None)
            with alone(folders[0]):
                store_plain(at_work, loader)
            each = plain(loader, folders)
        if each is None:
            raise HearlessError(f"stored teacher logits in {folders[0].parent} vanished; run again.")
        return fitted(each, self.bench.table.targets(clips), multi_label=self.bench.table.multi_label)

    def _check_held_out(self, teacher: Teacher) -> None:
        """Refuse to fit a fusion on recordings that one of its teachers has trained on."""
        if not isinstance(teacher, Trained | CrossFitted):
            return
        n_parts = teacher.n_parts if isinstance(teacher, CrossFitted) else 0
        fold = teacher.fold_beside(self.bench.fold) if isinstance(teacher, Trained) else self.bench.fold
        parts: list[Part | None] = [Part(n, n_parts) for n in range(n_parts)]
        for part in parts or [None]:
            run = self.lab.run(recipe_of(teacher), fold, seed_of(teacher, self.bench.seed), part)
            known = set(run.read("clips.json")["training"]) & {clip.group for clip in self.bench.validation}
            if not known:
                continue
            raise HearlessError(
                f"how='fitted' needs validation recordings that no teacher has trained on, but "
                f"{run.path.parent.name}/{run.path.name} trained on {len(known)} of them "
                f"({', '.join(sorted(known)[:3])}); give teachers and student the same validation_seed."
            )

    def running(self, teacher: Teacher | None) -> AtWork | None:
        """Resolve a teacher to pipelines that can listen, training what is missing."""
        match teacher:
            case None:
                return None
            case Trained():
                return Running((self._taught(teacher),), None, self.lab.torch_device, (view_of(teacher.recipe),))
            case Pretrained():
                if teacher.pipeline is None:
                    raise HearlessError("Pretrained needs pipeline=… where it teaches as it is.")
                pipeline = teacher.pipeline.build(len(self.bench.labels))
                load_pretrained(pipeline, teacher.weights, teacher.sha256, replace_output=False)
                return Running((pipeline.on(self.lab.torch_device).eval(),), None, self.lab.torch_device)
            case CrossFitted():
                return self._cross_fitted(teacher)
            case Fused():
                each = [self.running(one) for one in teacher.teachers]
                fusion = self._fusion(teacher) if teacher.how == "fitted" else None
                return Together(tuple(one for one in each if one), fusion)

    def _taught(self, teacher: Trained | CrossFitted, part: Part | None = None) -> Pipeline:
        fold = teacher.fold_beside(self.bench.fold) if isinstance(teacher, Trained) else self.bench.fold
        run = self.lab.with_weights(recipe_of(teacher), fold, seed_of(teacher, self.bench.seed), part)
        check_teacher_leak(run, self.bench.test, self.bench.table.hashes_of(self.bench.test))
        check_classes(run.measured["labels"], self.bench.labels)
        return self.lab.pipeline(run)

    def _cross_fitted(self, teacher: CrossFitted) -> Running:
        parts = [Part(n, teacher.n_parts) for n in range(teacher.n_parts)]
        pipelines = tuple(self._taught(teacher, part) for part in parts)
        seed = seed_of(teacher, self.bench.seed)
        runs = [self.lab.run(recipe_of(teacher), self.bench.fold, seed, part) for part in parts]
        return Running(pipelines, _explainers(self.bench.training, runs), self.lab.torch_device)

    def logits_folder(self) -> Path:
        """Return where stored logits lie: by teacher, fold, seed, clips and what is done to them; never by paths."""
        bench, recipe = self.bench, self.bench.recipe
        heard: list[Any] = [a.to_json() for a in recipe.augmentations]
        heard += _of_sound(recipe)
        ids = [c.id for c in bench.training]
        taught = [identity(to_plain(recipe.teacher)), bench.table.digest, bench.fold, bench.seed]
        return self.lab.runs / "logits" / digest([taught, heard, bench.clip_s, bench.store.rate_hz, ids])

    def _member_folder(self, teacher: Teacher, clips: Sequence[Clip], *, plain: bool = False) -> Path:
        """Return where one of several teachers' logits lie: by what it is and what it hears, whoever its students are.

        Changes that the student alone hears stay out; ``plain``: of clips as they are.
        """
        bench, changes = self.bench, () if plain else self.bench.recipe.augmentations
        made = [(place, change.to_json(), change.build().hearers) for place, change in enumerate(changes)]
        heard: list[Any] = [[place, identity(json)] for place, json, hearers in made if hearers == "both"]
        heard += _of_sound(bench.recipe, plain=plain)
        taught = [identity(to_plain(settled(teacher, bench.fold, bench.seed))), bench.table.digest, bench.fold]
        key = ["one of several", taught, heard, bench.clip_s, bench.store.rate_hz, [c.id for c in clips]]
        return self.lab.runs / "logits" / digest(key)


def _of_sound(recipe: Recipe, *, plain: bool = False) -> list[Any]:
    """Return what a recipe does to sound before any augmentation, as far as it is out of the ordinary."""
    peak = ["peak_normalised"] if recipe.peak_normalised else []
    return [*peak, ["background", recipe.background]] if recipe.background and not plain else peak


def _explainers(clips: Sequence[Clip], copies: Sequence[Run]) -> dict[str, int]:
    """Say which copy of a cross-fitted teacher explains each clip: the one that alone did not train on it.

    A clip that none trained on is left out: all explain it.
    """
    trained = [set(copy.read("clips.json")["training"]) for copy in copies]
    unseen = {clip.id: [n for n, groups in enumerate(trained) if clip.group not in groups] for clip in clips}
    return {clip_id: who[0] for clip_id, who in unseen.items() if len(who) == 1}
