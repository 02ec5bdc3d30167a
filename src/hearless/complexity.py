"""Parameters, multiply-accumulates and bytes of a network, in all and by layer.

Counted while one clip passes, as DCASE's low-complexity task counts (its tool nessi, on torchinfo's mult-adds):

* a convolution: its weights (and bias) times the places of its output map;
* a linear layer: the same, over every row that it is applied to (torchinfo takes one row, which is the same where
  its input is ``[batch, feature]``; a transformer's tokens are many);
* any other layer that owns parameters (batch norm, λ of Residual Normalization): one each.

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

from hearless.interfaces import HearlessError

BYTES = {"fp32": 4, "fp16": 2, "int8": 1}
"""Bytes of a parameter at each precision."""


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
