"""The whole pipeline as an ExecuTorch program for XNNPACK, one clip of the window's length at a time.

The card lies beside it, ``NAME.pte`` and ``NAME.json``.  ExecuTorch's runtime needs torch, so `Program` is here and not
with the artifacts that run without it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.export.graph_signature import InputKind

from hearless.artifact import Card
from hearless.exports import Floats, Whole, compare, completed, gate, missing, refused, stored
from hearless.interfaces import HearlessError
from hearless.pipeline import Pipeline
from hearless.quantize import n_int8, quiet


class Program:
    """An exported ``.pte`` file with its card, ready to run.

    Raises:
        HearlessError: ExecuTorch is missing, or the file or its card cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self.card = Path(path), card_beside(path)
        with quiet(), _silent():
            self._program = _program(self.path)
            self._method = self._program.load_method("forward")

    def logits(self, observation: Floats) -> Floats:
        """Return the network's own logits ``[n, class]`` of observations ``[n, …, time]``, clip by clip.

        Raises:
            HearlessError: another length than the window's, or not finite.
        """
        if observation.shape[-1] != self.card.n_samples or not np.isfinite(observation).all():
            raise HearlessError(
                f"{self.path} hears finite observations of exactly {self.card.n_samples} samples, got shape "
                f"{observation.shape}; pad or cut the recording."
            )
        clips = torch.split(torch.from_numpy(np.ascontiguousarray(observation, dtype=np.float32)), 1)
        return cast(Floats, torch.cat([self._method.execute([clip])[0].clone() for clip in clips]).numpy())

    def classify(self, waveform: Floats, rate_hz: int) -> Floats:
        """Return calibrated logits ``[n, class]`` of waveforms ``[n, time]`` at ``rate_hz``.

        Raises:
            HearlessError: another rate than the sensor's, or what `logits` refuses.
        """
        self.card.check_rate(rate_hz, self.path)
        return self.card.calibrated(self.logits(waveform))

    @property
    def listening(self) -> dict[str, Any]:
        """The arguments of a `hearless.predict.Listener`."""
        return self.card.listening(self.classify)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what ExecuTorch's C++ tells of the processor, straight to the file of stderr, off the terminal."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def card_path(path: str | Path) -> Path:
    """Return where the card of a ``.pte`` file lies."""
    return Path(path).with_suffix(".json")


def card_beside(path: str | Path) -> Card:
    """Return the card of a ``.pte`` file.

    Raises:
        HearlessError: the file or its card is missing or cannot be read.
    """
    beside = card_path(path)
    if not Path(path).is_file() or not beside.is_file():
        raise HearlessError(
            f"{path} needs its card {beside.name} beside it; copy both together, or export the run again."
        )
    return Card.from_text(beside.read_text(encoding="utf-8"), str(beside))


def export(
    pipeline: Pipeline, path: str | Path, card: Card, held_out: Tensor, *, tolerance: float | None = None
) -> Card:
    """Write a pipeline to ``path``, its card beside it, and return the card, or refuse.

    Args:
        pipeline: float, or with a classifier of `hearless.quantize.convert` for ``"executorch"``.
        path: of the ``.pte`` file; only written once it has passed.
        card: what is known of the run.
        held_out: observations ``[clip, …, time]`` of clips that were not trained on, a window each.
        tolerance: how far a logit may lie from PyTorch's; None: `hearless.exports.TOLERANCE`.

    Raises:
        HearlessError: ExecuTorch is missing, the network was quantized for another runtime, an operator has no form
            there, or the file does not agree with PyTorch.
    """
    path, card, whole = Path(path), completed(card, pipeline, held_out, "executorch"), Whole(pipeline)
    content, counts = _lowered(whole, held_out[:1].float().cpu())
    made = replace(stored(card, whole), free_length=False, min_window_s=card.window_s)
    building = path.with_name(f".building-{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        building.write_bytes(content)
        card_path(building).write_text(made.to_text(), encoding="utf-8")
        made = replace(made, parity=_gated(building, path, whole, held_out, tolerance) | counts)
        building.replace(path)
        card_path(path).write_text(made.to_text(), encoding="utf-8")
    finally:
        building.unlink(missing_ok=True)
        card_path(building).unlink(missing_ok=True)
    return made


def verify(
    path: str | Path, pipeline: Pipeline, held_out: Tensor, *, tolerance: float | None = None
) -> dict[str, float]:
    """Run a file and PyTorch on held-out observations and return the differences.

    Raises:
        HearlessError: they are larger than the tolerance.
    """
    return _gated(Path(path), Path(path), Whole(pipeline), held_out, tolerance)


def _gated(path: Path, source: Path, whole: Whole, held_out: Tensor, tolerance: float | None) -> dict[str, float]:
    program = Program(path)
    card = program.card
    measured = compare(
        program.logits, whole, held_out, card.precision, multi_label=card.multi_label, tolerance=tolerance
    )
    return gate(measured, str(source))


def _lowered(whole: Whole, example: Tensor) -> tuple[bytes, dict[str, float]]:
    """Return the program, how many parts of it XNNPACK runs and how many operators are left to the portable kernels.

    In int8, means over a map are left: float ones between int8 operators (Residual Normalization) break XNNPACK's
    layout pass.
    """
    try:
        from executorch.backends.xnnpack.partition.config import ALL_PARTITIONER_CONFIGS
        from executorch.backends.xnnpack.partition.config.generic_node_configs import MeanDimConfig
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower
    except ImportError as error:
        raise missing("executorch", error) from error
    left = MeanDimConfig if n_int8(whole) else None
    delegated = [kind for kind in ALL_PARTITIONER_CONFIGS if kind is not left]
    try:
        graph = _without_unread(torch.export.export(whole, (example,)))
        edge = to_edge_transform_and_lower(graph, partitioner=[XnnpackPartitioner(configs=delegated)])
        return bytes(edge.to_executorch().buffer), _counts(edge.exported_program().graph)
    except Exception as error:  # the exporter's own kinds
        raise refused("executorch", error) from error


def _without_unread(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Leave out the tables that nothing in the graph reads, such as the whole Mel matrix: the file would keep them."""
    unread = {node.name: node for node in program.graph.nodes if node.op == "placeholder" and not node.users}
    for spec in [*program.graph_signature.input_specs]:
        if spec.kind is InputKind.BUFFER and spec.arg.name in unread:
            program.graph_signature.input_specs.remove(spec)
            program.graph.erase_node(unread[spec.arg.name])
            for tensors in (program.state_dict, program.constants):
                tensors.pop(str(spec.target), None)
    program.graph_module.recompile()
    return program


def _counts(graph: Any) -> dict[str, float]:
    calls = Counter("delegate" in str(node.target) for node in graph.nodes if node.op == "call_function")
    return {"xnnpack_partitions": float(calls[True]), "portable_operators": float(calls[False])}


def _program(path: Path) -> Any:
    """Open a file in ExecuTorch's runtime."""
    try:
        from executorch.runtime import Runtime
    except ImportError as error:
        raise missing("executorch", error) from error
    try:
        return Runtime.get().load_program(path)
    except Exception as error:  # the runtime's own kinds
        raise HearlessError(f"{path} cannot be run by ExecuTorch: {error}; export the run again.") from error
