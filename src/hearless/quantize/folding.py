"""Batch norms folded into the convolutions before them: torchao takes half a minute for it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, fx

from hearless.quantize.graphs import BATCH_NORM, CONVOLUTIONS, DROPOUT, EPS, aten, constant, nodes_of, value_of


def fold(graph: fx.GraphModule) -> None:
    """Fold batch norms into the convolutions before them, make others a factor and a sum; drop dropout.

    In a graph for training, a convolution's weights are multiplied by its norm's factor before they are quantized, and
    its output is divided by it; so only the shift is left to fold, as the bias.
    """
    for number, norm in enumerate(nodes_of(graph, BATCH_NORM)):
        conv, bias = _fused(norm)
        scale, shift = _affine(graph, norm, bias)
        with graph.graph.inserting_before(conv or norm):
            if conv is not None:
                conv.update_arg(2, constant(graph, f"folded_bias_{number}", shift))
                norm.replace_all_uses_with(conv)
                continue
            shape = (1, -1, *[1] * (norm.meta["val"].ndim - 2))
            factor = constant(graph, f"norm_scale_{number}", scale.reshape(shape))
            scaled = graph.graph.call_function(aten.mul.Tensor, (norm.args[0], factor))
            summand = constant(graph, f"norm_shift_{number}", shift.reshape(shape))
            norm.replace_all_uses_with(graph.graph.call_function(aten.add.Tensor, (scaled, summand)))
    for node in nodes_of(graph, DROPOUT):
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
    weight, offset, mean, variance = (value_of(graph, norm.args[i]) for i in (1, 2, 3, 4))
    scale = torch.rsqrt(variance + cast(float, norm.args[EPS])) * weight
    before = 0.0 if bias is None else value_of(graph, bias)
    return scale, (before - mean) * scale + offset
