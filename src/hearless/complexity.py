"""Parameters, multiply-accumulates and bytes of a network, in all and by layer.

Counted while one clip passes, as DCASE's low-complexity task counts (its tool nessi, on torchinfo's mult-adds):

* a convolution: its weights (and bias) times the places of its output map;
* a linear layer: the same, over every row that it is applied to (torchinfo takes one row, which is the same where
  its input is ``[batch, feature]``; a transformer's tokens are many);
* any other layer that owns parameters (batch norm, λ of Residual Normalization): one each.

The peak of the activations is read off the graph that exporters start from: maps are alive from where they are made to
where they are last used, views of a map are that map, and what works value by value (norms, activations, additions) may
write over an input that ends there, as runtimes do.  Weights and what a kernel needs inside are left out.

What owns no parameters (activations, pooling, additions, the two products of attention, a front end's tables)
counts nothing.  A layer that runs twice counts twice; a parameter that two layers share is counted once.  A thousand
bytes are a kilobyte, as in paper 004.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node

from hearless.interfaces import HearlessError

BYTES = {"fp32": 4, "fp16": 2, "int8": 1}
"""Bytes of a parameter at each precision."""

AS_THEY_ARE = {torch.ops.aten.dropout.default, torch.ops.aten.clone.default}
"""Operators that give what they were given, once a network is at rest."""

IN_PLACE = {torch.ops.aten.batch_norm.default}
"""Operators that work value by value without saying so."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One module that owns parameters.

    Attributes:
        name: where it sits in the network, ``"stages.0.1.depthwise.0"``.
        kind: its class.
        parameters: its own, less those that an earlier layer has counted.
        macs: multiply-accumulates for one clip; 0 where it never ran.
        outputs: values that leave it for one clip; 0 where it never ran or returns no tensor.
    """

    name: str
    kind: str
    parameters: int
    macs: int
    outputs: int


@dataclass(frozen=True, slots=True)
class Complexity:
    """A network's layers, in the order of the network."""

    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """All parameters."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one clip."""
        return sum(layer.macs for layer in self.layers)

    def n_bytes(self, precision: str = "fp32") -> int:
        """Return what all parameters weigh at ``"fp32"``, ``"fp16"`` or ``"int8"``.

        Raises:
            HearlessError: an unknown precision.
        """
        if precision not in BYTES:
            raise HearlessError(f"precision must be one of {', '.join(BYTES)}, got {precision!r}.")
        return self.parameters * BYTES[precision]


def complexity(network: nn.Module, example: Tensor) -> Complexity:
    """Count a network while it hears one clip; its mode, gradients and statistics stay as they are.

    Args:
        network: any module of one tensor argument.
        example: its input for one clip, ``[1, …]``.

    Raises:
        HearlessError: not one clip, or a layer of a kind that is not counted (recurrent, multi-head attention).
    """
    if example.ndim < 1 or example.shape[0] != 1:
        raise HearlessError(f"example must hold one clip [1, …], got shape {tuple(example.shape)}; take example[:1].")
    owners = {name: module for name, module in network.named_modules() if own_parameters(module)}
    for name, module in owners.items():
        if isinstance(module, nn.RNNBase | nn.MultiheadAttention | nn.EmbeddingBag):
            raise HearlessError(f"complexity counts no {type(module).__name__}, got one at {name!r}; count it by hand.")
    macs, outputs = dict.fromkeys(owners, 0), dict.fromkeys(owners, 0)

    def counter(name: str) -> Any:
        def count(module: nn.Module, given: Any, left: Any) -> None:
            macs[name] += layer_macs(module, left)
            outputs[name] += left.numel() if isinstance(left, Tensor) else 0

        return count

    hooks = [module.register_forward_hook(counter(name)) for name, module in owners.items()]
    try:
        with torch.no_grad(), evaluating(network):
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    return Complexity(tuple(_layers(owners, macs, outputs)))


def own_parameters(module: nn.Module) -> int:
    """Return how many parameters a module holds itself, those of its parts left out."""
    return sum(parameter.numel() for parameter in module.parameters(recurse=False))


def layer_macs(module: nn.Module, left: Any) -> int:
    """Return the multiply-accumulates of one call, from what left the module."""
    own = own_parameters(module)
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return own * math.prod(map(int, left.shape[2:]))
    return own * math.prod(map(int, left.shape[:-1])) if isinstance(module, nn.Linear) else own


@dataclass(frozen=True, slots=True)
class Peak:
    """The most activations that are alive at once.

    Attributes:
        values: how many; times the bytes of a value this is the memory.
        where: the layer that runs then.
    """

    values: int
    where: str


def peak_activations(network: nn.Module, example: Tensor) -> Peak:
    """Return the peak of a network's activations for one clip, its input among them.

    Args:
        network: any module from one tensor to one tensor, in eval mode.
        example: its input for one clip, ``[1, …]``.

    Raises:
        HearlessError: the network has no graph.
    """
    try:
        program = torch.export.export(network, (example,))
    except Exception as error:  # whatever the tracer stumbles over
        raise HearlessError(
            f"{type(network).__name__} has no graph to read its activations from: {error}; count another network."
        ) from error
    inputs = set(program.graph_signature.user_inputs)
    nodes = [n for n in program.graph.nodes if n.op == "call_function" or n.name in inputs]
    homes, sizes = _homes(nodes)
    ends = {homes[given]: i for i, node in enumerate(nodes) for given in node.all_input_nodes if given in homes}
    last = next(node for node in program.graph.nodes if node.op == "output")
    ends |= {homes[given]: len(nodes) for given in last.all_input_nodes if given in homes}
    alive: set[Node] = set()
    peak = Peak(0, "")
    for i, node in enumerate(nodes):
        reused = _reused(node, homes, sizes, {home for home in alive if ends.get(home) == i})
        alive.add(homes[node])
        values = sum(sizes[home] for home in alive) - (sizes[reused] if reused else 0)
        if values > peak.values:
            peak = Peak(values, _layer_of(node))
        alive = {home for home in alive if ends.get(home, i) > i}
    return peak


def _homes(nodes: list[Node]) -> tuple[dict[Node, Node], dict[Node, int]]:
    """Return the node that owns each one's memory, and the values of each owner."""
    homes: dict[Node, Node] = {}
    for node in nodes:
        viewed = next((given for given in node.all_input_nodes if given in homes), None)
        homes[node] = homes[viewed] if viewed is not None and _is_view(node) else node
    sizes = {home: home.meta["val"].numel() if isinstance(home.meta["val"], Tensor) else 0 for home in homes.values()}
    return homes, sizes


def _is_view(node: Node) -> bool:
    returned = getattr(getattr(node.target, "_schema", None), "returns", [])
    return any(one.alias_info is not None for one in returned) or node.target in AS_THEY_ARE


def _reused(node: Node, homes: dict[Node, Node], sizes: dict[Node, int], ending: set[Node]) -> Node | None:
    """Return the memory that a node may write its result over, of that whose use ends with it, or None."""
    by_value = node.target in IN_PLACE or torch.Tag.pointwise in getattr(node.target, "tags", ())
    if homes[node] is not node or not by_value:
        return None
    given = (homes[one] for one in node.all_input_nodes if one in homes)
    return next((home for home in given if home in ending and sizes[home] == sizes[node]), None)


def _layer_of(node: Node) -> str:
    """Return the layer that a node of an exported graph belongs to."""
    stack = [name for name, _ in node.meta.get("nn_module_stack", {}).values()]
    return next((str(name) for name in reversed(stack) if name), "") or str(node.name)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put every module into eval mode and back into its own."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _layers(owners: dict[str, nn.Module], macs: dict[str, int], outputs: dict[str, int]) -> Iterator[Layer]:
    counted: set[int] = set()
    for name, module in owners.items():
        fresh = {id(p): p.numel() for p in module.parameters(recurse=False) if id(p) not in counted}
        counted |= set(fresh)
        yield Layer(name, type(module).__name__, sum(fresh.values()), macs[name], outputs[name])
