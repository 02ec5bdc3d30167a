"""What is asked of and done to a captured graph: its modes, its batch norms' settings, what nothing uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, fx

aten = torch.ops.aten


BATCH_NORM, DROPOUT = aten.batch_norm.default, aten.dropout.default


MODES = {BATCH_NORM: 5, DROPOUT: 2}
"""Operators that behave otherwise in training, and which argument says so."""


CONVOLUTIONS = (aten.conv1d.default, aten.conv2d.default)


MOMENTUM, EPS = 6, 7
"""Arguments of a batch norm."""


def nodes_of(graph: fx.GraphModule, *targets: Any) -> list[fx.Node]:
    """Return a graph's calls of some operators, in order."""
    return [node for node in graph.graph.nodes if node.op == "call_function" and node.target in targets]


def value_of(graph: fx.GraphModule, node: Any) -> Tensor:
    """Return the tensor that a node of a graph reads."""
    owner, _, name = str(node.target).rpartition(".")
    return cast(Tensor, getattr(graph.get_submodule(owner), name)).detach()


def constant(graph: fx.GraphModule, name: str, value: Tensor) -> fx.Node:
    """Put a tensor into a graph and return the node that reads it."""
    graph.register_buffer(name, value.clone())
    return graph.graph.get_attr(name)


@contextmanager
def own_kinds_only(graph: fx.GraphModule) -> Iterator[None]:
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


def restore_settings(graph: fx.GraphModule, settings: Mapping[str, tuple[Any, Any]]) -> None:
    """Give each batch norm, and the division by its deviation, the momentum and eps that it had."""
    variances = {}
    for norm in nodes_of(graph, BATCH_NORM):
        momentum, eps = settings[str(norm.args[3])]
        norm.update_arg(MOMENTUM, momentum)
        norm.update_arg(EPS, eps)
        variances[cast(fx.Node, norm.args[4]).target] = eps
    for node in nodes_of(graph, aten.add.Tensor):
        source = cast(fx.Node, node.args[0])
        if source.op == "get_attr" and source.target in variances and isinstance(node.args[1], float):
            node.update_arg(1, variances[source.target])
    graph.recompile()


def drop_counters(graph: fx.GraphModule) -> None:
    """Erase the counting of batches, of which nothing depends and which would go on in evaluation."""
    for node in nodes_of(graph, aten.add_.Tensor):
        source = cast(fx.Node, node.args[0])
        if source.op == "get_attr" and str(source.target).endswith("num_batches_tracked") and not node.users:
            graph.graph.erase_node(node)
    graph.recompile()


def set_mode(graph: fx.GraphModule, training: bool, norms_frozen: bool, ranges_frozen: bool) -> None:
    """Put batch norms, dropout and ranges into training or at rest."""
    from torchao.quantization.pt2e import FakeQuantizeBase

    for node in nodes_of(graph, *MODES):
        learns = training and not (norms_frozen and node.target is BATCH_NORM)
        node.update_arg(MODES[cast(Any, node.target)], learns)
    graph.recompile()
    for module in graph.modules():
        if isinstance(module, FakeQuantizeBase):
            module.enable_observer(training and not ranges_frozen)


def allow_modes(graph: fx.GraphModule) -> None:
    """Let ``train`` and ``eval``, which torchao forbids, pass again; `Quantized` does what they should."""
    for name in ("train", "eval"):
        vars(graph).pop(name, None)


def drop_unused(graph: fx.GraphModule) -> None:
    """Delete the float weights that int8 ones have taken the place of."""
    used = {str(node.target) for node in graph.graph.nodes if node.op == "get_attr"}
    for name in {**dict(graph.named_parameters()), **dict(graph.named_buffers())}.keys() - used:
        owner, _, last = name.rpartition(".")
        delattr(graph.get_submodule(owner), last)


def without_gradients(graph: fx.GraphModule) -> None:
    """Let no parameter of a graph learn."""
    for parameter in graph.parameters():
        parameter.requires_grad_(False)
