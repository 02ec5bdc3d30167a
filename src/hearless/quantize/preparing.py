"""A classifier → its graph with fake quantizers (QAT) or observers (PTQ)."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, fx, nn

from hearless.complexity import evaluating
from hearless.interfaces import Classifier, HearlessError
from hearless.quantize.graphs import (
    BATCH_NORM,
    EPS,
    MOMENTUM,
    aten,
    drop_counters,
    nodes_of,
    own_kinds_only,
    restore_settings,
    set_mode,
)
from hearless.quantize.network import Quantized
from hearless.quantize.runtimes import quantizer, quiet

AS_FLOAT = 1e-3
"""How far the graph's logits may lie from the classifier's with its quantizers off, in their own size."""


@quiet()
def prepare_qat(classifier: nn.Module, example_features: Tensor, backend: str = "onnx") -> Quantized:
    """Return a copy of a classifier with fake quantizers, ready for quantization-aware training.

    Args:
        classifier: any of the shelf; stays as it is.
        example_features: ``[batch, 1, band, frame]`` of two clips or more, of training; the first ranges are theirs.
        backend: ``"onnx"`` or ``"executorch"``.

    Raises:
        HearlessError: an unknown backend, a missing package, or a network that the graph cannot show as it is.
    """
    from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e

    graph = _captured(classifier, example_features, training=True)
    settings = {str(n.args[3]): (n.args[MOMENTUM], n.args[EPS]) for n in nodes_of(graph, BATCH_NORM)}
    with own_kinds_only(graph):
        graph = prepare_qat_pt2e(graph, quantizer(backend, qat=True))
    restore_settings(graph, settings)
    drop_counters(graph)
    made = Quantized(graph, cast(Classifier, classifier), backend, "qat", _masks_features(classifier, example_features))
    _check_same(made, classifier, example_features)
    _look(made, example_features)
    return made


@quiet()
def prepare_ptq(classifier: nn.Module, example_features: Tensor, backend: str = "onnx") -> Quantized:
    """Return a copy of a classifier with observers, batch norms folded; then `calibrate` and `convert` it.

    Arguments and errors as in `prepare_qat`.
    """
    from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

    graph = prepare_pt2e(_captured(classifier, example_features, training=False), quantizer(backend, qat=False))
    made = Quantized(graph, cast(Classifier, classifier), backend, "ptq", _masks_features(classifier, example_features))
    _check_same(copy.deepcopy(made), classifier, example_features)
    return made.eval()


@torch.no_grad()
def calibrate(prepared: Quantized, features: Iterable[Tensor]) -> None:
    """Let the observers of `prepare_ptq` see batches of features ``[batch, 1, band, frame]``, of training clips.

    Raises:
        HearlessError: nothing to see, or no observers.
    """
    if prepared.stage != "ptq":
        raise HearlessError(f"calibrate takes what prepare_ptq returned, got a network at stage {prepared.stage!r}.")
    seen = sum(1 for batch in features if prepared(batch) is not None)
    if not seen:
        raise HearlessError("calibrate needs at least one batch of features, got none; give training clips.")


def freeze_norms(prepared: Quantized) -> None:
    """Use the batch norms' running statistics in training from now on, and leave them as they are."""
    prepared.norms_frozen.fill_(True)  # type: ignore[operator]


def freeze_ranges(prepared: Quantized) -> None:
    """Leave the quantizers' ranges as they are from now on."""
    prepared.ranges_frozen.fill_(True)  # type: ignore[operator]


class _Outputs(nn.Module):
    """A classifier that returns plain tensors."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.network = classifier

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        prediction = self.network(features)
        return prediction.logits, prediction.embedding


def _captured(classifier: nn.Module, example: Tensor, *, training: bool) -> fx.GraphModule:
    """Return the graph of a copy of a classifier, of any number of clips and, where it can, of frames."""
    if len(example) < 2:
        raise HearlessError(f"example_features must hold two clips or more, got {len(example)}; take a whole batch.")
    network = _Outputs(copy.deepcopy(classifier)).train(training)
    network.requires_grad_(True)
    free = torch.export.Dim.AUTO
    try:
        exported = torch.export.export(network, (example,), dynamic_shapes=({0: free, 3: free},))
    except HearlessError:
        raise
    except Exception as error:  # whatever the tracer stumbles over
        raise HearlessError(
            f"{type(classifier).__name__} has no graph that could be quantized: {_first_line(error)}; "
            "quantize another classifier, such as DSFlexiNet or MobileNetV3."
        ) from error
    graph = exported.module(check_guards=False)
    _keep_means(graph)
    return graph


def _keep_means(graph: fx.GraphModule) -> None:
    """Keep means over a map float: XNNPACK's quantizer would put them on the grid of the single values."""
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation

    for node in nodes_of(graph, aten.mean.dim):
        node.meta["quantization_annotation"] = QuantizationAnnotation(_annotated=True)


@torch.no_grad()
def _masks_features(classifier: nn.Module, example: Tensor) -> bool:
    """Say whether ``keep`` does what multiplying the features by it does."""
    keep = torch.ones_like(example)
    keep[..., ::2] = 0.0
    with evaluating(classifier):
        return bool(torch.equal(classifier(example, keep).logits, classifier(example * keep).logits))


@torch.no_grad()
def _check_same(made: Quantized, classifier: nn.Module, example: Tensor) -> None:
    """Refuse a graph that, its quantizers off and at rest, does not give the classifier's logits."""
    from torchao.quantization.pt2e import disable_fake_quant, enable_fake_quant

    made.graph.apply(disable_fake_quant)
    with evaluating(classifier), evaluating(made):
        wanted, got = classifier(example).logits, made(example).logits
    made.graph.apply(enable_fake_quant)
    made._shown = None
    apart = float((got - wanted).abs().max() / wanted.abs().max().clamp(min=1e-6))
    if not apart <= AS_FLOAT:
        raise HearlessError(
            f"{type(classifier).__name__}: its graph must give its own logits before anything is quantized, got "
            f"{apart:.2g} of their size apart; something in it acts otherwise in training (stochastic depth, patch "
            "dropout): set its rate to 0."
        )


@torch.no_grad()
def _look(made: Quantized, example: Tensor) -> None:
    """Let the fake quantizers take their first ranges from the example, all else at rest."""
    from torchao.quantization.pt2e import enable_observer

    set_mode(made.graph, training=False, norms_frozen=True, ranges_frozen=True)
    made.graph.apply(enable_observer)
    made.graph(example)
    made._shown = None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
