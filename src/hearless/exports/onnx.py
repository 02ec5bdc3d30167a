"""The whole pipeline as an ONNX file with its card inside; int8 weights stay int8 (QDQ).

Any number of clips and, where the front end allows it, any length: a file of free length is run at its shortest and at
a longer length as well, and is made anew for one length where it does not agree with PyTorch there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hearless.artifact import INPUT, KEY, OUTPUT, Artifact, Card
from hearless.exports import Whole, compare, completed, gate, missing, refused, shortest
from hearless.exports._fusing import fuse_instance_norms
from hearless.interfaces import HearlessError
from hearless.pipeline import Pipeline

PARTS = ("frontend", "enhancer", "classifier", "head")
LONGER = 1.5
"""A length that a file of free length is tried at, in windows."""


@dataclass(frozen=True)
class Weight:
    """One stored tensor of a file.

    Attributes:
        part: of the pipeline, or "" (sizes and indices).
        name: in the file.
        dtype: ``"int8"``, ``"float32"``, …
        shape: of the tensor.
        n_bytes: what it takes.
    """

    part: str
    name: str
    dtype: str
    shape: tuple[int, ...]
    n_bytes: int


def export(
    pipeline: Pipeline,
    path: str | Path,
    card: Card,
    held_out: Tensor,
    *,
    free_length: bool = True,
    tolerance: float | None = None,
) -> Card:
    """Write a pipeline to ``path`` and return its card, or refuse.

    Args:
        pipeline: float, or with a classifier of `hearless.quantize.convert`.
        path: of the ``.onnx`` file; only written once it has passed.
        card: what is known of the run.
        held_out: observations ``[clip, …, time]`` of clips that were not trained on, a window each.
        free_length: let it hear other lengths than the window, where that holds; takes twice as long to write.
        tolerance: how far a logit may lie from PyTorch's; None: `TOLERANCE`.

    Raises:
        HearlessError: packages are missing, the network was quantized for another runtime, an operator has no ONNX
            form, or the file does not agree with PyTorch.
    """
    path, card, whole = Path(path), completed(card, pipeline, held_out, "onnx"), Whole(pipeline)
    building = path.with_name(f".building-{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        card = _written(whole, building, card, held_out, tolerance, (True, False) if free_length else (False,))
        card = replace(card, parity=gate(_measured(building, whole, held_out, tolerance), str(path)))
        _stamp(building, card)
        building.replace(path)
    finally:
        building.unlink(missing_ok=True)
    return card


def verify(
    path: str | Path, pipeline: Pipeline, held_out: Tensor, *, tolerance: float | None = None
) -> dict[str, float]:
    """Run a file and PyTorch on held-out observations and return the differences.

    Raises:
        HearlessError: they are larger than the tolerance.
    """
    return gate(_measured(Path(path), Whole(pipeline), held_out, tolerance), str(path))


def weights(path: str | Path) -> list[Weight]:
    """Return every tensor that a file stores.

    Raises:
        HearlessError: the onnx package is missing.
    """
    onnx = _package()
    found = []
    for tensor in onnx.load(str(path)).graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        part = tensor.name.partition("/")[0]
        found.append(Weight(part if part in PARTS else "", tensor.name, str(array.dtype), array.shape, array.nbytes))
    return found


def _package() -> Any:
    try:
        import onnx
        import onnxruntime  # noqa: F401 (the gate runs the file)
        import onnxscript  # noqa: F401 (the exporter needs it)
    except ImportError as error:
        raise missing("onnx", error) from error
    return onnx


def _measured(path: Path, whole: Whole, held_out: Tensor, tolerance: float | None) -> dict[str, float]:
    """Compare a file with PyTorch; an int8 file also as onnxruntime runs it by itself, with integer kernels."""
    artifact = Artifact(path)
    precision, multi_label = artifact.card.precision, artifact.card.multi_label
    measured = compare(artifact.logits, whole, held_out, precision, multi_label=multi_label, tolerance=tolerance)
    if precision == "int8":
        integer = compare(Artifact(path, integer=True).logits, whole, held_out, precision, multi_label=multi_label)
        measured |= {f"integer_{key}": integer[key] for key in ("max_logit_difference", "label_agreement")}
    return measured


def _written(
    whole: Whole, path: Path, card: Card, held_out: Tensor, tolerance: float | None, lengths: tuple[bool, ...]
) -> Card:
    """Write a file of free length or, where that does not hold, of the window's."""
    free_length, *others = lengths
    try:
        model = _model(whole, held_out, free_length)
        fewest = shortest(whole, held_out[:1]) if free_length else card.n_samples
        made = _saved(model, path, replace(card, free_length=free_length, min_window_s=fewest / card.rate_hz))
        if not free_length or _hears_others(path, whole, made, held_out, tolerance):
            return made
    except HearlessError:
        if not others:
            raise
    return _written(whole, path, card, held_out, tolerance, tuple(others))


def _saved(model: Any, path: Path, card: Card) -> Card:
    """Write a model and return its card, counted and stamped into it."""
    fuse_instance_norms(model)
    _name_parts(model)
    _package().save(model, str(path))
    counted = _counted(path, card)
    _stamp(path, counted)
    return counted


def _model(whole: Whole, held_out: Tensor, free_length: bool) -> Any:
    """Return the ONNX model of a pipeline."""
    example = held_out[:2].float().cpu()
    example = example if len(example) == 2 else example.repeat(2, *[1] * (example.ndim - 1))
    free = {0: torch.export.Dim.DYNAMIC, **({example.ndim - 1: torch.export.Dim.DYNAMIC} if free_length else {})}
    try:
        graph = torch.export.export(whole, (example,), dynamic_shapes=(free,))
        program = torch.onnx.export(
            graph, (), dynamo=True, verbose=False, input_names=[INPUT], output_names=[OUTPUT], optimize=True
        )
    except Exception as error:  # the exporter's own kinds
        raise refused("onnx", error) from error
    assert program is not None  # with dynamo=True
    return program.model_proto


def _name_parts(model: Any) -> None:
    """Put the part of the pipeline before the name of each stored tensor, and drop the exporter's remarks."""
    parts: dict[str, Counter[str]] = {}
    for node in model.graph.node:
        part = _part(node)
        for name in node.input:
            parts.setdefault(name, Counter())[part] += 1
    stored = {tensor.name for tensor in model.graph.initializer}
    names = {name: f"{parts[name].most_common(1)[0][0]}/{name}" for name in stored & parts.keys()}
    for tensor in model.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    model.graph.ClearField("value_info")
    model.graph.ClearField("metadata_props")


def _part(node: Any) -> str:
    """Return the part of the pipeline that a node came from, from the exporter's remarks."""
    remarks = {entry.key: entry.value for entry in node.metadata_props}
    scopes = remarks.get("pkg.torch.onnx.name_scopes", "")
    return next((part for part in PARTS if f"'{part}" in scopes), "sizes")


def _counted(path: Path, card: Card) -> Card:
    """Return the card with what the network takes in the file."""
    network = [weight for weight in weights(path) if weight.part in PARTS[1:]]
    int8 = sum(math.prod(w.shape) for w in network if w.dtype == "int8" and len(w.shape) > 1)
    return replace(card, int8_parameters=int8, network_bytes=sum(weight.n_bytes for weight in network))


def _stamp(path: Path, card: Card) -> None:
    """Write the card into a file."""
    onnx = _package()
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {KEY: card.to_text()})
    onnx.save(model, str(path))


def _hears_others(path: Path, whole: Whole, card: Card, held_out: Tensor, tolerance: float | None) -> bool:
    """Say whether a file of free length agrees with PyTorch at its shortest and at a longer length."""
    artifact = Artifact(path)
    return all(_agrees(artifact, whole, observation, tolerance) for observation in _others(held_out, card))


def _others(held_out: Tensor, card: Card) -> Iterator[Tensor]:
    """Return windows cut to the shortest length, by a third, and prolonged."""
    fewest = round(card.min_window_s * card.rate_hz)
    yield held_out[..., :fewest]
    yield held_out[..., : max(fewest, card.n_samples * 2 // 3 + 1)]
    yield torch.cat([held_out, held_out[..., : round((LONGER - 1.0) * card.n_samples)]], dim=-1)


def _agrees(artifact: Artifact, whole: Whole, observation: Tensor, tolerance: float | None) -> bool:
    try:
        found = compare(artifact.logits, whole, observation, artifact.card.precision, tolerance=tolerance)
        return found["max_logit_difference"] <= found["tolerance"]
    except HearlessError:
        return False
    except Exception as error:  # onnxruntime's own kinds
        if type(error).__module__.startswith("onnxruntime"):
            return False
        raise
