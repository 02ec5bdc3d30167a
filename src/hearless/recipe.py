"""Recipe and Stage: one training, everything that changes its numbers.

A recipe is typed Python; its JSON is stored in the run and hashed into the run's name.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from hearless.adapters import KINDS
from hearless.interfaces import HearlessError, Needs
from hearless.labels import label_names
from hearless.pipeline import PARTS, PipelineSpec
from hearless.quantize import BACKENDS
from hearless.spec import Spec, digest, fit_type, require_shelf, resolve, spec_from_json, to_plain
from hearless.teachers import CrossFitted, Fused, Pretrained, Teacher, Trained

SCHEDULES = ("constant", "one_cycle", "step")
OPTIMIZERS = ("adam", "adamw")
PROTOCOLS = ("honest", "paper", "as_released")
ADDED_LATER = {"added_later": True}
"""Metadata of a field that came after the first release: at its default, which reproduces the past, it stays out of
the hash."""


@dataclass(frozen=True)
class Stage:
    """Some epochs with the same objectives, optimiser and trained parts.

    ``learning_rate`` is the peak; ``schedule`` "constant" keeps it, "one_cycle" warms up over 30 % of the steps from
    1/25 of it and anneals to 1e-5 of that (cosine), "step" multiplies it by ``decay`` after ``decay_after`` epochs and
    every ``decay_every`` thereafter.  ``optimizer`` "adamw" decouples ``weight_decay`` from ``betas``' moments, "adam"
    adds it to the gradient.

    ``quantized`` names the runtime ("onnx", "executorch") that the classifier is trained for in int8: it computes with
    rounded weights and activations, and is judged, kept and used as the int8 network that comes of it.  After a share
    ``norms_until`` of the stage's epochs its batch norms rest, after ``ranges_until`` the ranges of its quantizers.

    ``adapters`` lets the classifier's weights rest: "output" trains its output layer alone, "lora" and "dora" also
    changes of rank ``adapter_rank``, scaled by ``adapter_alpha`` over it (`hearless.adapters`).  Its batch norms keep
    scale and shift; their means and variances follow the sound where ``adapter_statistics``.  The stage ends with the
    changes merged into the weights.
    """

    objectives: tuple[Spec, ...]
    epochs: int = 15
    learning_rate: float = 1e-3
    schedule: str = "one_cycle"
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    trains: tuple[str, ...] = PARTS
    optimizer: str = field(default="adamw", metadata=ADDED_LATER)
    decay: float = field(default=0.85, metadata=ADDED_LATER)
    decay_after: int = field(default=5, metadata=ADDED_LATER)
    decay_every: int = field(default=5, metadata=ADDED_LATER)
    quantized: str = field(default="", metadata=ADDED_LATER)
    norms_until: float = field(default=0.8, metadata=ADDED_LATER)
    ranges_until: float = field(default=0.8, metadata=ADDED_LATER)
    adapters: str = field(default="", metadata=ADDED_LATER)
    adapter_rank: int = field(default=4, metadata=ADDED_LATER)
    adapter_alpha: float = field(default=8.0, metadata=ADDED_LATER)
    adapter_statistics: bool = field(default=True, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        _fit_types(self)
        _require(bool(self.objectives), "objectives", "hold at least one objective", self.objectives)
        for objective in self.objectives:
            require_shelf("objectives", objective, "objectives")
        _require(self.epochs >= 1, "epochs", "be at least 1", self.epochs)
        _require(self.learning_rate > 0, "learning_rate", "be above 0", self.learning_rate)
        _require(self.schedule in SCHEDULES, "schedule", f"be one of {', '.join(SCHEDULES)}", self.schedule)
        _require(len(self.betas) == 2 and all(0 <= b < 1 for b in self.betas), "betas", "be two in 0..1", self.betas)
        _require(self.weight_decay >= 0, "weight_decay", "be 0 or more", self.weight_decay)
        _require(self.optimizer in OPTIMIZERS, "optimizer", f"be one of {', '.join(OPTIMIZERS)}", self.optimizer)
        _require(0 < self.decay <= 1, "decay", "lie in 0..1, 0 excluded", self.decay)
        _require(self.decay_after >= 1, "decay_after", "be at least 1", self.decay_after)
        _require(self.decay_every >= 1, "decay_every", "be at least 1", self.decay_every)
        known = ("", *BACKENDS)
        _require(self.quantized in known, "quantized", f"be one of {', '.join(BACKENDS)}, or empty", self.quantized)
        _require(0 <= self.norms_until <= 1, "norms_until", "lie in 0..1", self.norms_until)
        _require(0 <= self.ranges_until <= 1, "ranges_until", "lie in 0..1", self.ranges_until)
        self._check_adapters()
        _require(
            bool(self.trains) and set(self.trains) <= set(PARTS), "trains", f"be among {', '.join(PARTS)}", self.trains
        )

    def _check_adapters(self) -> None:
        known = f"be one of {', '.join(KINDS)}, or empty"
        _require(self.adapters in ("", *KINDS), "adapters", known, self.adapters)
        _require(self.adapter_rank >= 1, "adapter_rank", "be at least 1", self.adapter_rank)
        _require(self.adapter_alpha > 0, "adapter_alpha", "be above 0", self.adapter_alpha)
        if self.adapters:
            _require("classifier" in self.trains, "trains", "name the classifier where it has adapters", self.trains)
            _require(not self.quantized, "quantized", "be empty where there are adapters", self.quantized)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {f.name: to_plain(getattr(self, f.name)) for f in fields(self)}


def _is_one(teacher: Teacher) -> bool:
    """Say whether one pipeline teaches, so that there is one embedding and one map of each name."""
    if isinstance(teacher, Fused):
        return len(teacher.teachers) == 1 and _is_one(teacher.teachers[0])
    return not isinstance(teacher, CrossFitted)


def _fit_types(made: Stage | Recipe) -> None:
    for f in fields(made):
        object.__setattr__(made, f.name, fit_type(f.name, getattr(made, f.name), str(f.type)))


def _require(holds: bool, name: str, rule: str, value: Any) -> None:
    if not holds:
        raise HearlessError(f"{name} must {rule}, got {value!r}.")


@dataclass(frozen=True)
class Recipe:
    """One training.

    Attributes:
        dataset: the corpus.
        student: the pipeline to train.
        stages: what happens to it, in order.
        teacher: who explains the clips, or None.
        initial: where its weights start: a weights file, an earlier run's, or None (random).
        augmentations: random changes, in order.
        stored_draws: 0 lets a teacher listen at each step; n stores its logits (and its embedding where an objective
            compares it) for n draws a clip and replays them.
        clip_s: length of a training excerpt in s; None: the longest training clip's.
        balance: "none", "weights" (loss) or "sampling".
        validation: share of the training recordings held out for choosing epoch, α and T.
        protocol: "honest", "paper" (choices fixed across folds as in the papers), or "as_released": as "paper", with
            the quirks of a published code, where a system's settings know them.
        select: "max:METRIC" or "min:loss" on validation, or "last".
        batch_size: clips a batch.
        precision: "32-true" or "bf16-mixed".
        name: what people call it; not part of what it is.
        classes: a label set of `hearless.labels` that the student tells apart in place of the data set's; it then is
            judged by how far it agrees with its teacher.
        training_share: the share of the fold's training clips that is trained on, whole recordings; a smaller share
            lies within a larger one.  Validation and test stay as they are.
        train_on_validation: the held-out recordings are trained on as well, as by codes that hold out none; with
            ``select="last"`` only.
        peak_normalised: each clip's sound is divided by its largest absolute value.
        background: the share of the training clips in whose place background of no class is heard, another share each
            epoch: a model that never heard noise is sure of it.
        validation_seed: draws the held-out recordings of every seed alike; None: each seed draws its own.
        average_last: judge the mean over the last so many epochs, each on the test clips (``protocol="paper"`` only);
            0: the selected epoch alone.
    """

    dataset: Spec
    student: PipelineSpec
    stages: tuple[Stage, ...]
    teacher: Teacher | None = None
    initial: Pretrained | Trained | None = None
    augmentations: tuple[Spec, ...] = ()
    stored_draws: int = 0
    clip_s: float | None = None
    balance: str = "none"
    validation: float = 0.25
    protocol: str = "honest"
    select: str = "max:accuracy"
    batch_size: int = 32
    precision: str = "32-true"
    name: str = field(default="recipe", compare=False)
    classes: str = field(default="", metadata=ADDED_LATER)
    training_share: float = field(default=1.0, metadata=ADDED_LATER)
    train_on_validation: bool = field(default=False, metadata=ADDED_LATER)
    peak_normalised: bool = field(default=False, metadata=ADDED_LATER)
    background: float = field(default=0.0, metadata=ADDED_LATER)
    validation_seed: int | None = field(default=None, metadata=ADDED_LATER)
    average_last: int = field(default=0, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        _fit_types(self)
        require_shelf("dataset", self.dataset, "datasets")
        for augmentation in self.augmentations:
            require_shelf("augmentations", augmentation, "augmentations")
        _require(
            bool(self.stages) or self.initial is not None, "stages", "hold a stage, or none to judge initial weights",
            self.stages,
        )  # fmt: skip
        _require(
            self.balance in ("none", "weights", "sampling"), "balance", "be none, weights or sampling", self.balance
        )
        _require(0 < self.validation < 1, "validation", "lie between 0 and 1", self.validation)
        _require(0 < self.training_share <= 1, "training_share", "lie in 0..1, 0 excluded", self.training_share)
        _require(0 <= self.background < 1, "background", "lie in 0..1, 1 excluded", self.background)
        _require(
            not self.train_on_validation or self.select == "last", "select",
            "be last where validation is trained on: it cannot choose then", self.select,
        )  # fmt: skip
        _require(self.protocol in PROTOCOLS, "protocol", f"be one of {', '.join(PROTOCOLS)}", self.protocol)
        _require(self.batch_size >= 2, "batch_size", "be at least 2", self.batch_size)
        _require(self.precision in ("32-true", "bf16-mixed"), "precision", "be 32-true or bf16-mixed", self.precision)
        _require(
            self.select == "last" or (self.select[:4] in ("max:", "min:") and len(self.select) > 4),
            "select",
            "be last, max:… or min:…",
            self.select,
        )
        _require(self.clip_s is None or self.clip_s > 0, "clip_s", "be above 0 or None", self.clip_s)
        _require(
            self.average_last == 0 or (self.protocol == "paper" and 1 <= self.average_last <= self._epochs),
            "average_last", "be 0, or with protocol='paper' at most the last stage's epochs", self.average_last,
        )  # fmt: skip
        self._check_parts()
        self._check_teacher()
        self._check_classes()
        self._check_quantized()

    @property
    def quantized(self) -> str:
        """For which runtime its network ends in int8; empty: it stays float."""
        return self.stages[-1].quantized if self.stages else ""

    def _check_quantized(self) -> None:
        early = [stage.quantized for stage in self.stages[:-1] if stage.quantized]
        _require(not early, "quantized", "be set on the last stage only, for nothing float follows int8", early)
        if isinstance(self.initial, Trained) and isinstance(self.initial.recipe, Recipe):
            _require(
                not self.initial.recipe.quantized, "initial", "be a float run, for an int8 one is not trained on",
                self.initial.recipe.name,
            )  # fmt: skip
        if not self.quantized:
            return
        last = self.stages[-1]
        _require("classifier" in last.trains, "trains", "name the classifier where it is quantized", last.trains)
        _require(self.precision == "32-true", "precision", "be 32-true where a stage is quantized", self.precision)
        for objective in last.objectives:
            _require(
                objective.build().needs != "maps", "objectives",
                "compare logits, embedding or features where a stage is quantized, for its graph shows no inner maps",
                objective.name,
            )  # fmt: skip

    @property
    def _epochs(self) -> int:
        """The epochs of the last stage."""
        return self.stages[-1].epochs if self.stages else 0

    def _check_parts(self) -> None:
        for stage in self.stages:
            found = [part for part in stage.trains if getattr(self.student, part) is not None]
            _require(bool(found), "trains", "name a part that the student has", stage.trains)
            _require(
                not (stage.adapters and self.student.head), "adapters", "be empty where a head follows the classifier",
                stage.adapters,
            )  # fmt: skip
        _require(
            isinstance(self.initial, Pretrained | Trained | None), "initial", "be Pretrained, Trained or None",
            type(self.initial).__name__,
        )  # fmt: skip

    def _check_teacher(self) -> None:
        needing = [s.name for st in self.stages for s in st.objectives if resolve(s.shelf, s.name).needs_teacher]
        _require(not needing or self.teacher is not None, "teacher", f"be given for {', '.join(needing)}", None)
        _require(self.stored_draws >= 0, "stored_draws", "be 0 or more", self.stored_draws)
        built = {a.name: a.build() for a in self.augmentations}
        unheard = [name for name, a in built.items() if a.level == "batch" and a.hearers == "both"]
        if self.stored_draws and unheard:
            raise HearlessError(
                f"stored teacher logits follow clip-level augmentation only, got {', '.join(unheard)}; "
                "set stored_draws=0."
            )
        if self.teacher and self.stored_draws:
            group = isinstance(self.teacher, Fused | CrossFitted)  # even of one: members' logits alone are stored
            self._check_needs("a stored teacher", ("logits",) if group else ("logits", "embedding"))
        elif self.teacher and not _is_one(self.teacher):
            self._check_needs("a group of teachers", ("logits", "features"))  # all of them hear alike

    def _check_needs(self, who: str, has: tuple[Needs, ...]) -> None:
        """Refuse an objective that compares what such a teacher has not."""
        for objective in (o for stage in self.stages for o in stage.objectives):
            if (needs := objective.build().needs) not in has:
                raise HearlessError(
                    f"{objective.name} compares {needs}, and {who} has {' and '.join(has)} only; "
                    "give one teacher, with stored_draws=0."
                )

    def _check_classes(self) -> None:
        if not self.classes:
            return
        label_names(self.classes)
        _require(
            self.teacher is not None and not self.stored_draws, "teacher",
            f"be given, with stored_draws=0, where {self.classes} takes the place of the data set's classes",
            self.teacher and f"stored_draws={self.stored_draws}",
        )  # fmt: skip
        fitted = isinstance(self.teacher, Fused) and self.teacher.how == "fitted"
        _require(not fitted, "teacher", f"be fused by how='mean' where {self.classes} has no labels to fit", "fitted")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON: everything that changes the numbers, and the name."""
        return {f.name: to_plain(getattr(self, f.name)) for f in fields(self)}

    @property
    def digest(self) -> str:
        """Hash of the recipe: names and places left out, all else in."""
        return digest(identity(self.to_json()))

    def named(self, name: str) -> Recipe:
        """Return the same recipe under another name."""
        return replace(self, name=name)


def identity(data: Any) -> Any:
    """Return what a recipe's or teacher's hash is made of: its JSON without names and places."""
    if isinstance(data, Mapping):
        left_out = _late_fields(data) | ({"name"} if "stages" in data else set())
        if data.get("teacher") == "Pretrained" and data["sha256"]:
            left_out = {"weights"}
        if "class" in data:
            left_out = _outside_hash(resolve(*data["class"].split("/")), data)
        return {key: identity(value) for key, value in data.items() if key not in left_out}
    return [identity(item) for item in data] if isinstance(data, list) else data


def _late_fields(data: Mapping[str, Any]) -> set[str]:
    """Return which fields of a recipe, stage or pipeline came later (metadata `ADDED_LATER`) and hold their default."""
    kinds: dict[str, type[Any]] = {"stages": Recipe, "objectives": Stage, "frontend": PipelineSpec}
    kind = next((kind for key, kind in kinds.items() if key in data), None)
    late = [f for f in fields(kind) if f.metadata == ADDED_LATER] if kind else []
    return {f.name for f in late if data.get(f.name) == to_plain(f.default)}


def _outside_hash(cls: type[Any], data: Mapping[str, Any]) -> set[str]:
    """Return which arguments of a class on a shelf stay out of the hash.

    Those that say where things lie (``LOCATION``), and those that came after its first release (``ADDED_LATER``) where
    they still hold the default, which reproduces the past.
    """
    parameters = inspect.signature(cls).parameters
    later = vars(cls).get("ADDED_LATER", ())
    unchanged = {key for key in later if data.get(key) == to_plain(parameters[key].default)}
    return unchanged | set(vars(cls).get("LOCATION", ()))


def recipe_from_json(data: Mapping[str, Any]) -> Recipe:
    """Read a stored recipe; every name in it must lie on the shelves.

    Raises:
        HearlessError: it names what lies on no shelf, breaks a rule, or is damaged.
    """
    try:
        return _recipe_from_json(data)
    except (AttributeError, KeyError, TypeError) as error:
        raise HearlessError(
            f"recipe.json is damaged, or a newer hearless wrote it ({type(error).__name__}: {error}); restore it."
        ) from error


def _recipe_from_json(data: Mapping[str, Any]) -> Recipe:
    known = {f.name for f in fields(Recipe)}
    if unknown := set(data) - known:
        raise HearlessError(
            f"recipe.json holds unknown fields {', '.join(sorted(unknown))}; a newer hearless wrote it."
        )
    values = dict(data)
    values["dataset"] = spec_from_json(data["dataset"])
    values["student"] = PipelineSpec.from_json(data["student"])
    values["stages"] = tuple(_stage_from_json(stage) for stage in data["stages"])
    values["teacher"] = teacher_from_json(data.get("teacher"))
    values["initial"] = teacher_from_json(data.get("initial"))
    values["augmentations"] = tuple(spec_from_json(item) for item in data.get("augmentations", []))
    return Recipe(**values)


def _stage_from_json(data: Mapping[str, Any]) -> Stage:
    lists = {key: tuple(value) for key, value in data.items() if isinstance(value, list)}
    return Stage(**{**data, **lists, "objectives": tuple(spec_from_json(item) for item in data["objectives"])})


def teacher_from_json(data: Mapping[str, Any] | None) -> Any:
    """Read a stored teacher, or None."""
    if data is None:
        return None
    kinds = {"Pretrained": Pretrained, "Trained": Trained, "CrossFitted": CrossFitted, "Fused": Fused}
    values = {key: value for key, value in data.items() if key != "teacher"}
    if data["teacher"] not in kinds:
        raise HearlessError(f"teacher must be one of {', '.join(kinds)}, got {data['teacher']!r}.")
    if "recipe" in values:
        values["recipe"] = recipe_from_json(values["recipe"])
    if values.get("pipeline"):
        values["pipeline"] = PipelineSpec.from_json(values["pipeline"])
    if "teachers" in values:
        values["teachers"] = tuple(teacher_from_json(item) for item in values["teachers"])
    return kinds[data["teacher"]](**values)
