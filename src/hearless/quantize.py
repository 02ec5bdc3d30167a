"""A classifier in int8: trained with it (QAT) or converted afterwards (PTQ), through torchao's PT2E flow.

Weights per channel, activations per tensor, batch norms folded into their convolutions.  The paper (004, §II.C) says
"QAT"; the recipe is that of CP-Mobile (Schmid et al., DCASE 2023): ranges and batch norms learn at first and are frozen
for the last epochs, and Residual Normalization stays float between a dequantizer and a quantizer.  Only the classifier
is quantized: front end, enhancer and head stay float, and what augments its features happens outside of the graph.

A `Quantized` is called as the classifier was, but it is another network: other keys, its own optimiser.  Make it anew
wherever a quantized stage begins or is resumed, then load its state.

torchao's own rewriting knows only the default ``eps`` and ``momentum`` of batch norms and takes half a minute to fold
them; both are done here.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from hearless.classifiers._checks import check_features
from hearless.classifiers.ds_flexinet import ResidualNorm
from hearless.complexity import evaluating
from hearless.interfaces import Classifier, HearlessError, Prediction

BACKENDS = ("onnx", "executorch")
FLOAT: tuple[type[nn.Module], ...] = (ResidualNorm,)
"""Modules that stay float."""

AS_FLOAT = 1e-3
"""How far the graph's logits may lie from the classifier's with its quantizers off, in their own size."""

SMALLEST_SCALE = 2.0**-12

aten = torch.ops.aten
BATCH_NORM, DROPOUT = aten.batch_norm.default, aten.dropout.default
MODES = {BATCH_NORM: 5, DROPOUT: 2}
"""Operators that behave otherwise in training, and which argument says so."""

CONVOLUTIONS = (aten.conv1d.default, aten.conv2d.default)
MOMENTUM, EPS = 6, 7
"""Arguments of a batch norm."""


class Quantized(nn.Module):
    """A classifier as a graph with quantizers in it, called as the classifier was.

    Args:
        graph: features → (logits, embedding).
        like: the classifier that it was made from.
        backend: for which runtime.
        stage: ``"qat"`` (fake quantizers), ``"ptq"`` (observers) or ``"int8"`` (converted).
        masks_features: the classifier's ``keep`` is a mask on its features, so that it can be done outside.
    """

    def __init__(self, graph: fx.GraphModule, like: Classifier, backend: str, stage: str, masks_features: bool) -> None:
        super().__init__()
        self.graph = graph
        self.n_classes, self.min_bands, self.min_frames = like.n_classes, like.min_bands, like.min_frames
        self.backend, self.stage, self.masks_features = backend, stage, masks_features
        self.n_parameters = sum(parameter.numel() for parameter in cast(nn.Module, like).parameters())
        _allow_modes(graph)
        self.register_buffer("norms_frozen", torch.tensor(False))
        self.register_buffer("ranges_frozen", torch.tensor(False))
        self._shown: tuple[bool, bool, bool] | None = None
        self._eps = {name: float(value) for name, value in graph.named_buffers() if name.endswith(".eps")}
        cast(Any, self).register_load_state_dict_post_hook(_settle)

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        """Classify features; logits, embedding and the features themselves.

        Raises:
            HearlessError: too few bands or frames, inner maps, or a ``keep`` that would have to act inside the graph.
        """
        if maps or (keep is not None and not self.masks_features):
            raise HearlessError(
                f"a quantized classifier gives no {'inner maps' if maps else 'mask inside its network'}, for its graph "
                "is closed; use objectives on logits, embedding or features and augmentations of place 'features'."
            )
        check_features("a quantized classifier", features, self.min_bands, self.min_frames)
        if self.stage == "qat":
            self._follow()
        logits, embedding = self.graph(features if keep is None else features * keep)
        return Prediction(logits=logits, embedding=embedding, features=features)

    def _follow(self) -> None:
        """Bring the graph into this module's mode, as `nn.Module.train` cannot."""
        wanted = self.training, bool(self.norms_frozen), bool(self.ranges_frozen)
        if wanted != self._shown:
            _set_mode(self.graph, *wanted)
            self._shown = wanted


def _settle(module: nn.Module, _: Any) -> None:
    """Once the state of a `Quantized` was loaded, make it look again at its mode; observers get their eps back.

    torchao takes a state without torch's version marks, as safetensors have it, for an old one and resets them.
    """
    network = cast(Quantized, module)
    network._shown = None
    for name, buffer in network.graph.named_buffers():
        if name in network._eps:
            buffer.fill_(network._eps[name])


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what torch, torchao and ExecuTorch tell of their own workings off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def check_backend(backend: str) -> None:
    """Refuse a backend that is unknown or whose packages are missing.

    Raises:
        HearlessError: says which.
    """
    with quiet():
        _quantizer(backend, qat=True)


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
    settings = {str(n.args[3]): (n.args[MOMENTUM], n.args[EPS]) for n in _nodes(graph, BATCH_NORM)}
    with _own_kinds_only(graph):
        graph = prepare_qat_pt2e(graph, _quantizer(backend, qat=True))
    _restore_settings(graph, settings)
    _drop_counters(graph)
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

    graph = prepare_pt2e(_captured(classifier, example_features, training=False), _quantizer(backend, qat=False))
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


@quiet()
def convert(prepared: Quantized) -> Quantized:
    """Return a copy in int8: integer weights, quantizers and dequantizers; for evaluation and export.

    Raises:
        HearlessError: it is in int8 already.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    if prepared.stage == "int8":
        raise HearlessError("convert takes what prepare_qat or prepare_ptq returned, got a network in int8 already.")
    made = copy.deepcopy(prepared).eval()
    _set_mode(made.graph, training=False, norms_frozen=True, ranges_frozen=True)
    _fold(made.graph)
    _without_gradients(made.graph)
    made.graph, made.stage = convert_pt2e(made.graph), "int8"
    _allow_modes(made.graph)
    _drop_unused(made.graph)
    return made.eval()


def restore(prepared: Quantized, state: Mapping[str, Tensor]) -> None:
    """Load the ``state_dict`` of a `Quantized` that was prepared in the same way.

    Raises:
        HearlessError: it is of another network or backend.
    """
    try:
        prepared.load_state_dict(state)
    except RuntimeError as error:
        raise HearlessError(
            f"this state does not fit a network prepared for {prepared.backend} ({prepared.stage}): {error}; "
            "prepare the same classifier for the same backend."
        ) from error


def count_parameters(network: nn.Module) -> int:
    """Return the parameters of a network; of a quantized one those of the classifier that it was made from."""
    if isinstance(network, Quantized):
        return network.n_parameters
    return sum(parameter.numel() for parameter in network.parameters())


def n_int8(converted: nn.Module) -> int:
    """Return how many weights of a network are stored in int8."""
    return sum(value.numel() for value in converted.state_dict().values() if value.dtype == torch.int8)


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

    for node in _nodes(graph, aten.mean.dim):
        node.meta["quantization_annotation"] = QuantizationAnnotation(_annotated=True)


def _quantizer(backend: str, *, qat: bool) -> Any:
    """Return the quantizer of a runtime: per-channel weights, and nothing inside of `FLOAT` (x86 takes none of it)."""
    if backend not in BACKENDS:
        raise HearlessError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}.")
    try:
        return _x86(qat) if backend == "onnx" else _xnnpack(qat)
    except ImportError as error:
        raise HearlessError(f"int8 for {backend} needs more: pip install 'hearless[{backend}]' ({error}).") from error


def _x86(qat: bool) -> Any:
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    settings = x86.get_default_x86_inductor_quantization_config(is_qat=qat)
    return x86.X86InductorQuantizer().set_global(_learning(settings) if qat else settings)


def _xnnpack(qat: bool) -> Any:
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer as xnnpack

    settings = xnnpack.get_symmetric_quantization_config(is_per_channel=True, is_qat=qat)
    quantizer = xnnpack.XNNPACKQuantizer().set_global(_learning(settings) if qat else settings)
    return quantizer.set_filter_function(lambda node: not inside_float(node))


def _learning(settings: Any) -> Any:
    """Return a quantizer's settings with fake quantizers whose scales are those that `convert` writes.

    The default, fused ones divide by 127 (or 128) in training, where the conversion divides by 127.5.
    """
    from torchao.quantization.pt2e import (
        FakeQuantize,
        MovingAverageMinMaxObserver,
        MovingAveragePerChannelMinMaxObserver,
    )

    def made(spec: Any, observer: Any) -> Any:
        return replace(spec, observer_or_fake_quant_ctr=FakeQuantize.with_args(observer=observer, eps=SMALLEST_SCALE))

    activation = made(settings.input_activation, MovingAverageMinMaxObserver)
    return replace(
        settings,
        input_activation=activation,
        output_activation=None if settings.output_activation is None else activation,
        weight=made(settings.weight, MovingAveragePerChannelMinMaxObserver),
    )


def inside_float(node: fx.Node) -> bool:
    """Say whether a node of a captured graph lies in a module that stays float."""
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in FLOAT}
    return any(kind in names for _, kind in node.meta.get("nn_module_stack", {}).values())


def _nodes(graph: fx.GraphModule, *targets: Any) -> list[fx.Node]:
    return [node for node in graph.graph.nodes if node.op == "call_function" and node.target in targets]


@contextmanager
def _own_kinds_only(graph: fx.GraphModule) -> Iterator[None]:
    """Let torchao look for the kinds of convolution that a graph has and no others: each takes it two seconds."""
    from torchao.quantization.pt2e import qat_utils

    fuse = qat_utils._fuse_conv_bn_qat_helper
    found = {str(node.target) for node in graph.graph.nodes}

    def fuse_own(graph: fx.GraphModule, kind: Any, *arguments: Any, **options: Any) -> fx.GraphModule:
        own = any(name.startswith(f"aten.{kind.__name__}.") for name in found)
        return cast(fx.GraphModule, fuse(graph, kind, *arguments, **options)) if own else graph

    qat_utils._fuse_conv_bn_qat_helper = fuse_own
    try:
        yield
    finally:
        qat_utils._fuse_conv_bn_qat_helper = fuse


def _restore_settings(graph: fx.GraphModule, settings: Mapping[str, tuple[Any, Any]]) -> None:
    """Give each batch norm, and the division by its deviation, the momentum and eps that it had."""
    variances = {}
    for norm in _nodes(graph, BATCH_NORM):
        momentum, eps = settings[str(norm.args[3])]
        norm.update_arg(MOMENTUM, momentum)
        norm.update_arg(EPS, eps)
        variances[cast(fx.Node, norm.args[4]).target] = eps
    for node in _nodes(graph, aten.add.Tensor):
        source = cast(fx.Node, node.args[0])
        if source.op == "get_attr" and source.target in variances and isinstance(node.args[1], float):
            node.update_arg(1, variances[source.target])
    graph.recompile()


def _drop_counters(graph: fx.GraphModule) -> None:
    """Erase the counting of batches, of which nothing depends and which would go on in evaluation."""
    for node in _nodes(graph, aten.add_.Tensor):
        source = cast(fx.Node, node.args[0])
        if source.op == "get_attr" and str(source.target).endswith("num_batches_tracked") and not node.users:
            graph.graph.erase_node(node)
    graph.recompile()


def _set_mode(graph: fx.GraphModule, training: bool, norms_frozen: bool, ranges_frozen: bool) -> None:
    """Put batch norms, dropout and ranges into training or at rest."""
    from torchao.quantization.pt2e import FakeQuantizeBase

    for node in _nodes(graph, *MODES):
        learns = training and not (norms_frozen and node.target is BATCH_NORM)
        node.update_arg(MODES[cast(Any, node.target)], learns)
    graph.recompile()
    for module in graph.modules():
        if isinstance(module, FakeQuantizeBase):
            module.enable_observer(training and not ranges_frozen)


def _fold(graph: fx.GraphModule) -> None:
    """Fold batch norms into the convolutions before them, make others a factor and a sum; drop dropout.

    In a graph for training, a convolution's weights are multiplied by its norm's factor before they are quantized, and
    its output is divided by it; so only the shift is left to fold, as the bias.
    """
    for number, norm in enumerate(_nodes(graph, BATCH_NORM)):
        conv, bias = _fused(norm)
        scale, shift = _affine(graph, norm, bias)
        with graph.graph.inserting_before(conv or norm):
            if conv is not None:
                conv.update_arg(2, _constant(graph, f"folded_bias_{number}", shift))
                norm.replace_all_uses_with(conv)
                continue
            shape = (1, -1, *[1] * (norm.meta["val"].ndim - 2))
            factor = _constant(graph, f"norm_scale_{number}", scale.reshape(shape))
            scaled = graph.graph.call_function(aten.mul.Tensor, (norm.args[0], factor))
            summand = _constant(graph, f"norm_shift_{number}", shift.reshape(shape))
            norm.replace_all_uses_with(graph.graph.call_function(aten.add.Tensor, (scaled, summand)))
    for node in _nodes(graph, DROPOUT):
        node.replace_all_uses_with(cast(fx.Node, node.args[0]))
        graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.recompile()


def _fused(norm: fx.Node) -> tuple[fx.Node | None, fx.Node | None]:
    """Return the convolution that a norm was fused with and the node of its bias, or None."""
    before, bias = cast(fx.Node, norm.args[0]), None
    if before.target is aten.add.Tensor:
        before, bias = (cast(fx.Node, arg) for arg in before.args[:2])
    conv = cast(fx.Node, before.args[0]) if before.target is aten.div.Tensor else before
    if before is conv or conv.target not in CONVOLUTIONS:
        return None, None
    return conv, None if bias is None else cast(fx.Node, bias.args[0])  # the bias is reshaped, then added


def _affine(graph: fx.GraphModule, norm: fx.Node, bias: fx.Node | None) -> tuple[Tensor, Tensor]:
    """Return the factor and the shift that a batch norm is at rest; ``bias`` is added before it."""
    weight, offset, mean, variance = (_value(graph, norm.args[i]) for i in (1, 2, 3, 4))
    scale = torch.rsqrt(variance + cast(float, norm.args[EPS])) * weight
    before = 0.0 if bias is None else _value(graph, bias)
    return scale, (before - mean) * scale + offset


def _value(graph: fx.GraphModule, node: Any) -> Tensor:
    owner, _, name = str(node.target).rpartition(".")
    return cast(Tensor, getattr(graph.get_submodule(owner), name)).detach()


def _constant(graph: fx.GraphModule, name: str, value: Tensor) -> fx.Node:
    graph.register_buffer(name, value.clone())
    return graph.graph.get_attr(name)


def _allow_modes(graph: fx.GraphModule) -> None:
    """Let ``train`` and ``eval``, which torchao forbids, pass again; `Quantized` does what they should."""
    for name in ("train", "eval"):
        vars(graph).pop(name, None)


def _drop_unused(graph: fx.GraphModule) -> None:
    """Delete the float weights that int8 ones have taken the place of."""
    used = {str(node.target) for node in graph.graph.nodes if node.op == "get_attr"}
    for name in {**dict(graph.named_parameters()), **dict(graph.named_buffers())}.keys() - used:
        owner, _, last = name.rpartition(".")
        delattr(graph.get_submodule(owner), last)


def _without_gradients(graph: fx.GraphModule) -> None:
    for parameter in graph.parameters():
        parameter.requires_grad_(False)


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

    _set_mode(made.graph, training=False, norms_frozen=True, ranges_frozen=True)
    made.graph.apply(enable_observer)
    made.graph(example)
    made._shown = None


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
