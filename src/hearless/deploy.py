"""Finished runs on devices: as a file for another runtime, and held against a budget.

A run that was trained in int8 is exported as it is; a float one can be rounded afterwards (post-training quantization),
its ranges measured on training clips.  Whatever is written has passed the gate of `hearless.exports` on clips that the
run was not trained on.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from hearless import evaluate
from hearless.artifact import Artifact, Card
from hearless.calibration import Calibration
from hearless.classifiers._official import weights_table
from hearless.complexity import BYTES, Complexity, Peak, complexity, peak_activations
from hearless.exports import RefusedError
from hearless.interfaces import Capture, Classifier, Enhancer, Frontend, Head, HearlessError
from hearless.lab import Lab, initials
from hearless.pipeline import Pipeline
from hearless.quantize import BACKENDS, calibrate, convert, prepare_ptq, quiet
from hearless.recipe import Recipe
from hearless.run import Run
from hearless.teachers import Trained

SUFFIXES = {"onnx": ".onnx", "executorch": ".pte"}

HELD_OUT = 64
"""Clips that a file is compared with PyTorch on, at most."""

CALIBRATED_ON = 128
"""Training clips that the ranges of a float run are measured on, at most."""

BATCH = 16

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


@dataclass(frozen=True)
class Stored:
    """What a file keeps of one part of the pipeline in one type of number.

    Attributes:
        part: ``"frontend"``, ``"classifier"``, …
        dtype: ``"int8"``, ``"float32"``, …
        numbers: how many.
        n_bytes: what they take.
    """

    part: str
    dtype: str
    numbers: int
    n_bytes: int


@dataclass(frozen=True)
class Exported:
    """A written file.

    Attributes:
        path: where.
        card: what travels with it.
        n_bytes: its size.
        stored: what it keeps, by part and type; empty for ExecuTorch, whose files do not tell.
    """

    path: Path
    card: Card
    n_bytes: int
    stored: tuple[Stored, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """All that a device needs: a ``.pte`` file's card lies beside it."""
        if self.path.suffix == SUFFIXES["onnx"]:
            return (self.path,)
        from hearless.exports.executorch import card_path

        return (self.path, card_path(self.path))

    @property
    def bytes_per_parameter(self) -> float:
        """What a parameter of the network takes in the file, its scales and zero points included."""
        return self.card.network_bytes / max(1, self.card.parameters)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "path": str(self.path), "files": [*map(str, self.files)], "n_bytes": self.n_bytes,
            "bytes_per_parameter": self.bytes_per_parameter,
            "card": asdict(self.card), "stored": [asdict(one) for one in self.stored],
        }  # fmt: skip


@quiet()
def export(
    run: Run, root: Path, to: str = "onnx", *, int8: bool = False, out: Path | None = None,
    tolerance: float | None = None,
) -> Exported:  # fmt: skip
    """Write a finished run as a file that another runtime runs, or refuse.

    Args:
        run: a finished run.
        root: the folder of its recordings: the file is compared with PyTorch on clips that it was not trained on.
        to: ``"onnx"`` or ``"executorch"``.
        int8: round a float run's network to int8; one that was trained in int8 is int8 anyway.
        out: the file; None: in the run's folder.
        tolerance: how far a logit may lie from PyTorch's; None: what `hearless.exports` allows.

    Raises:
        HearlessError: an unknown runtime, an int8 run of the other, other recordings than the run's, an operator
            without a form there, or a file that does not agree with PyTorch.
    """
    recipe = run.recipe
    path = _file(run, recipe, to, int8, out)
    lab = Lab(run.path.parent.parent, root)
    held_out, pipeline = lab.observed(run, "test", HELD_OUT), lab.pipeline(run)
    if int8 and not recipe.quantized:
        pipeline = rounded(pipeline, lab.observed(run, "training", CALIBRATED_ON), to)
    card = card_of(run, pipeline, held_out.shape[-1])
    try:
        made = _written(pipeline, path, card, held_out, to, tolerance)
    except RefusedError as error:
        name = lab.clip_names(run, "test", HELD_OUT)[error.clip]
        raise HearlessError(f"{error} {_instead(recipe, int8)}It is furthest off at {name}.") from error
    return Exported(path, made, path.stat().st_size, kept(path))


def _written(pipeline: Pipeline, path: Path, card: Card, held_out: Tensor, to: str, tolerance: float | None) -> Card:
    """Write a file for a runtime and return its card."""
    if to == "onnx":
        from hearless.exports import onnx

        return onnx.export(pipeline, path, card, held_out, tolerance=tolerance)
    from hearless.exports import executorch

    return executorch.export(pipeline, path, card, held_out, tolerance=tolerance)


def exported(file: Path) -> Exported:
    """Return what `export` has written.

    Raises:
        HearlessError: it is not there, its card is missing, or the onnx package is.
    """
    if not file.is_file():
        raise HearlessError(f"{file} is not there; name an exported file: .onnx or .pte.")
    if file.suffix == SUFFIXES["onnx"]:
        card = Artifact(file).card
    else:
        from hearless.exports.executorch import card_beside

        card = card_beside(file)
    return Exported(file, card, file.stat().st_size, kept(file))


def kept(file: Path) -> tuple[Stored, ...]:
    """Return what an exported file keeps, by part and type; nothing for ExecuTorch, whose files do not tell."""
    if file.suffix != SUFFIXES["onnx"]:
        return ()
    from hearless.exports import onnx

    return _stored(onnx.weights(file))


def _instead(recipe: Recipe, int8: bool) -> str:
    """Say what else than allowing more can be done with a run whose file was refused."""
    if recipe.quantized:
        return "Or export the float run that it started from. " if isinstance(recipe.initial, Trained) else ""
    return "Or export it without --int8, or train it in int8. " if int8 else ""


def _file(run: Run, recipe: Recipe, to: str, int8: bool, out: Path | None) -> Path:
    """Return where a run is exported to, after a check that it can be."""
    if to not in BACKENDS:
        raise HearlessError(f"--to must be one of {', '.join(BACKENDS)}, got {to!r}.")
    if recipe.quantized not in ("", to):
        raise HearlessError(
            f"{run.path} was trained in int8 for {recipe.quantized}, which rounds in its own way, and cannot go --to "
            f"{to}; train it with --set backend={to}, or export its float run with --int8."
        )
    precision = "int8" if int8 or recipe.quantized else "fp32"
    path = out or run.path / "exports" / f"{recipe.name.replace('/', '-')}-{precision}{SUFFIXES[to]}"
    if path.suffix != SUFFIXES[to]:
        raise HearlessError(f"a file for {to} must end in {SUFFIXES[to]}, got {path}; rename it or change --to.")
    return path


@torch.no_grad()
def rounded(pipeline: Pipeline, observations: Tensor, backend: str) -> Pipeline:
    """Return a float pipeline with its classifier rounded to int8 after training.

    Args:
        pipeline: at rest, on the CPU.
        observations: what its sensor gives of training clips; the ranges of the activations are theirs.
        backend: ``"onnx"`` or ``"executorch"``.
    """
    heard = [features_of(pipeline, batch) for batch in torch.split(observations, BATCH) if len(batch) > 1]
    prepared = prepare_ptq(pipeline.classifier, heard[0], backend)
    calibrate(prepared, heard)
    return Pipeline(
        capture=pipeline.capture, frontend=pipeline.frontend, enhancer=pipeline.enhancer,
        classifier=convert(prepared), head=pipeline.head,
    )  # fmt: skip


def features_of(pipeline: Pipeline, observation: Tensor) -> Tensor:
    """Return what the classifier of a pipeline gets of an observation."""
    features = pipeline.features(observation)
    return features if pipeline.enhancer is None else cast(Enhancer, pipeline.enhancer)(features)


def card_of(run: Run, pipeline: Pipeline, n_samples: int) -> Card:
    """Return what is known of a run: what goes with its file, but for what the exporter measures."""
    measured, capture = run.measured, cast(Capture, pipeline.capture)
    rule = evaluate.calibration_of(run) or Calibration()
    return Card(
        run=f"{run.path.parent.name}/{run.path.name}", labels=tuple(measured["labels"]), rate_hz=capture.rate_hz,
        window_s=n_samples / capture.rate_hz, multi_label=bool(measured["multi_label"]), licence=licence(run.recipe),
        sensor=f"{type(capture).__name__} at {capture.rate_hz} Hz", temperature=rule.temperature,
        thresholds=tuple(rule.thresholds), none_below=rule.none_below, source_rate_hz=measured["source_rate_hz"],
    )  # fmt: skip


def licence(recipe: Recipe) -> str:
    """Return the licences of what a recipe was made of: its recordings and the weights that it started from."""
    data = f"recordings ({recipe.dataset.name}): {recipe.dataset.build().licence}"
    table, names = weights_table(), dict.fromkeys(one.weights for one in initials(recipe))
    said = {name: table[name][1].licence if name in table else "their own" for name in names}
    return "; ".join([data, *(f"weights ({Path(name).name}): {words}" for name, words in said.items())])


def _stored(weights: Sequence[Any]) -> tuple[Stored, ...]:
    """Sum the tensors of a file by part and type."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for one in weights:
        numbers, n_bytes = found.get((one.part, one.dtype), (0, 0))
        size = int(torch.Size(one.shape).numel())
        found[one.part, one.dtype] = numbers + size, n_bytes + one.n_bytes
    return tuple(Stored(part or "sizes", dtype, *sums) for (part, dtype), sums in sorted(found.items()))


class Network(nn.Module):
    """What of a pipeline costs a device its memory and multiplications: all behind the front end, features → logits."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        self.enhancer, self.classifier, self.head = pipeline.enhancer, pipeline.classifier, pipeline.head

    def forward(self, features: Tensor) -> Tensor:
        """Return logits ``[batch, class]``."""
        heard = features if self.enhancer is None else cast(Enhancer, self.enhancer)(features)
        said = cast(Classifier, self.classifier)(heard)
        return (said if self.head is None else cast(Head, self.head)(said)).logits


class Held(ABC):
    """Something against what it may be."""

    @property
    @abstractmethod
    def checks(self) -> dict[str, tuple[int, int]]:
        """What it has and what is allowed, of what was asked for."""

    @property
    def passes(self) -> bool:
        """Whether it keeps to all that was asked for."""
        return all(has <= allowed for has, allowed in self.checks.values())

    def judged(self) -> dict[str, Any]:
        """Return the verdict as plain JSON."""
        checks = {name: {"has": has, "allowed": allowed} for name, (has, allowed) in self.checks.items()}
        return {"passes": self.passes, "checks": checks}


@dataclass(frozen=True)
class Budget(Held):
    """What a run's network costs, against what it may cost.

    Attributes:
        cost: parameters and multiply-accumulates, by layer.
        peak: the most activations alive at once while it runs.
        precision: what the bytes are counted in.
        max_bytes, max_macs, max_ram: what is allowed; None: anything.
        window_s: the clip that multiplications are counted for.
    """

    cost: Complexity
    peak: Peak
    precision: str
    max_bytes: int | None
    max_macs: int | None
    max_ram: int | None
    window_s: float

    @property
    def checks(self) -> dict[str, tuple[int, int]]:
        """What it has and what is allowed, of what was asked for."""
        wanted = {
            "bytes of weights": (self.n_bytes, self.max_bytes), "MACs": (self.cost.macs, self.max_macs),
            "bytes of activations": (self.peak.values * BYTES[self.precision], self.max_ram),
        }  # fmt: skip
        return {name: (has, allowed) for name, (has, allowed) in wanted.items() if allowed is not None}

    @property
    def n_bytes(self) -> int:
        """The bytes of its parameters, each in the precision: in int8 a file keeps some of them as floats."""
        return self.cost.n_bytes(self.precision)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            **self.judged(), "precision": self.precision, "window_s": self.window_s,
            "parameters": self.cost.parameters, "macs": self.cost.macs,
            "bytes": {precision: self.cost.n_bytes(precision) for precision in BYTES},
            "peak_activation_bytes": {precision: self.peak.values * size for precision, size in BYTES.items()},
            "peak_at": self.peak.where, "layers": [asdict(layer) for layer in self.cost.layers],
        }  # fmt: skip


@quiet()
@torch.no_grad()
def budget(
    run: Run, *, max_bytes: str | None = None, max_macs: str | None = None, max_ram: str | None = None,
    precision: str | None = None,
) -> Budget:  # fmt: skip
    """Count what a run's network costs for one clip and hold it against a budget.

    Args:
        run: a run; its weights are not needed.
        max_bytes: such as ``"128k"``; None: any.
        max_macs: such as ``"30M"``; None: any.
        max_ram: of the most activations alive at once, such as ``"256k"``; None: any.
        precision: what the bytes are counted in; None: the run's own, int8 where it was trained in it.

    Raises:
        HearlessError: an unreadable size, an unknown precision, or a layer that is not counted.
    """
    allowed = {"--max-bytes": max_bytes, "--max-macs": max_macs, "--max-ram": max_ram}
    limits = [None if text is None else size(text, name) for name, text in allowed.items()]
    recipe, measured = run.recipe, run.measured
    counted_in = precision or ("int8" if recipe.quantized else "fp32")
    if counted_in not in BYTES:
        raise HearlessError(f"--precision must be one of {', '.join(BYTES)}, got {counted_in!r}.")
    pipeline = recipe.student.build(len(measured["labels"])).eval()
    rate_hz = cast(Capture, pipeline.capture).source_rate_hz
    silence = torch.zeros(1, round(measured["clip_s"] * rate_hz))
    features = cast(Frontend, pipeline.frontend)(pipeline.observe(silence, rate_hz))
    network = Network(pipeline)
    return Budget(
        complexity(network, features), peak_activations(network, features), counted_in, limits[0], limits[1],
        limits[2], measured["clip_s"],
    )  # fmt: skip


@dataclass(frozen=True)
class FileBudget(Held):
    """An exported file, against how large it may be.

    Attributes:
        made: the file.
        max_bytes: what is allowed; None: anything.
    """

    made: Exported
    max_bytes: int | None

    @property
    def checks(self) -> dict[str, tuple[int, int]]:
        """What it has and what is allowed, of what was asked for."""
        return {} if self.max_bytes is None else {"bytes of the file": (self.made.n_bytes, self.max_bytes)}

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {**self.judged(), **self.made.to_json()}


def file_budget(file: Path, *, max_bytes: str | None = None) -> FileBudget:
    """Hold an exported file's size against a budget.

    Raises:
        HearlessError: an unreadable size or file.
    """
    return FileBudget(exported(file), None if max_bytes is None else size(max_bytes, "--max-bytes"))


def size(text: str, name: str = "a size") -> int:
    """Return what ``"128k"``, ``"128 kB"``, ``"128KiB"`` or ``"30M"`` means; a k is a thousand, a Ki 1,024.

    Raises:
        HearlessError: it is no size above 0.
    """
    found = re.fullmatch(r"(\d+(?:[_,]\d{3})*(?:\.\d+)?)\s*([kmg]i?)?b?", text.strip().lower())
    value = round(float(re.sub("[_,]", "", found[1])) * UNITS[found[2] or ""]) if found else 0
    if value < 1:
        raise HearlessError(f"{name} must be such as 128k, 128kB, 128KiB, 30M or 131072, got {text!r}.")
    return value
