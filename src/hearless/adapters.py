"""A classifier whose weights rest while small changes of them train: LoRA and DoRA, on convolutions and linear layers.

Hu et al., "LoRA: low-rank adaptation of large language models" (ICLR 2022): a weight ``W [out, in]`` becomes
``W + (alpha / rank) B A``.  Liu et al., "DoRA: weight-decomposed low-rank adaptation" (ICML 2024), §4: the same, each
row scaled to a length ``m`` that trains too; the length it is divided by counts as a constant (§4.3).  A convolution's
rows are its kernels, flattened.

Through `peft` where it covers the layer: linear ones and plain two-dimensional convolutions.  It merges no grouped
convolution (and asks for a rank that its groups divide), and forgets a convolution's dilation: those get the same
change of their weight from `LowRank`, which is `peft`'s where both can be had (tested).

What trains beside the adapters is the output layer, whole.  Batch norms keep their scale and shift; their means and
variances follow the new sound where ``statistics`` says so.  Once trained, `merged` puts the changes into the weights:
the network is an ordinary one again, with the same logits, keys and cost.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Set
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from hearless.interfaces import HearlessError
from hearless.quantize import quiet
from hearless.spec import Spec

KINDS = ("output", "lora", "dora")
"""What trains beside the output layer: nothing, low-rank changes, or those and each kernel's length."""

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class LowRank(nn.Module):
    """A layer whose weight ``[out, …]`` rests and is changed: by a product of low rank, and in DoRA to trained lengths.

    Args:
        layer: a convolution or a linear layer.
        rank: of the change.
        alpha: the change is ``alpha / rank`` times ``b @ a``.
        dora: train each row's length too.
    """

    def __init__(self, layer: nn.Module, rank: int, alpha: float, dora: bool) -> None:
        super().__init__()
        weight = cast(Tensor, layer.weight).detach()
        self.base_layer, self.scale = layer, alpha / rank
        self.lora_a = nn.Parameter(weight.new_empty(rank, weight[0].numel()))
        self.lora_b = nn.Parameter(weight.new_zeros(len(weight), rank))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))
        self.lora_length = nn.Parameter(row_lengths(weight)) if dora else None

    def weight(self) -> Tensor:
        """Return the changed weight."""
        weight = cast(Tensor, self.base_layer.weight)
        changed = weight + self.scale * (self.lora_b @ self.lora_a).view_as(weight)
        if self.lora_length is None:
            return changed
        factor = self.lora_length / row_lengths(changed).detach()
        return changed * factor.view(-1, *[1] * (weight.ndim - 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layer makes of its input with the changed weight."""
        left: Tensor = torch.func.functional_call(self.base_layer, {"weight": self.weight()}, (x,))
        return left

    def merge(self, safe_merge: bool = True) -> None:
        """Put the change into the layer's weight, as `peft` calls it."""
        cast(nn.Parameter, self.base_layer.weight).copy_(self.weight())


def row_lengths(weight: Tensor) -> Tensor:
    """Return the length of each row ``[out]`` of a weight ``[out, …]``."""
    lengths: Tensor = torch.linalg.vector_norm(weight.flatten(1), dim=1)
    return lengths


def rank_of(weight: Tensor, rank: int) -> int:
    """Return a layer's rank: the one wanted, or the highest whose adapter is smaller than the layer; at least 1."""
    n_out, n_in = len(weight), weight[0].numel()
    return max(1, min(rank, (n_out * n_in - 1) // (n_out + n_in)))


@cache
def output_layers(classifier: Spec) -> frozenset[str]:
    """Return the names of the modules whose weights depend on the number of classes."""
    with torch.device("meta"):
        two, three = (classifier.build(n_classes=n).state_dict() for n in (2, 3))
    return frozenset(key.rpartition(".")[0] for key, weight in two.items() if weight.shape != three[key].shape)


def adapt(
    classifier: nn.Module, kind: str, output: Set[str], *, rank: int = 4, alpha: float = 8.0, seed: int = 0
) -> nn.Module:
    """Return a copy of a classifier with adapters on every convolution and linear layer but the output's.

    It says the same as before until it is trained.  `rest` says what of it trains, `merged` makes it plain again.

    Args:
        classifier: any of the shelf; stays as it is.
        kind: one of `KINDS`.
        output: the modules of its output layer (`output_layers`).
        rank: of each change; smaller where the adapter would not be smaller than its layer.
        alpha: the change is scaled by ``alpha`` over the layer's rank.
        seed: of the adapters' random halves.

    Raises:
        HearlessError: an unknown kind, peft is missing, or DoRA of a kernel that is all zeros and so has no direction.
    """
    if kind not in KINDS:
        raise HearlessError(f"adapters must be one of {', '.join(KINDS)}, got {kind!r}.")
    made = copy.deepcopy(classifier)
    layers = {} if kind == "output" else dict(_layers(made, output))
    if kind == "dora":
        _check_lengths(layers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _adapt_plain({name: layer for name, layer in layers.items() if covered(layer)}, made, kind, rank, alpha)
        for name, layer in layers.items():
            if not covered(layer):
                _replace(made, name, LowRank(layer, rank_of(layer.weight, rank), alpha, kind == "dora"))
    return made


def covered(layer: Any) -> bool:
    """Say whether peft adapts a layer and can merge it again."""
    if isinstance(layer, nn.Linear):
        return True
    plain = isinstance(layer, nn.Conv2d) and layer.groups == 1 and layer.padding_mode == "zeros"
    return plain and set(layer.dilation) == {1}


def rest(adapted: nn.Module, output: Set[str], *, statistics: bool = True) -> list[nn.Parameter]:
    """Let what is no adapter and no output layer rest; return what trains.

    Args:
        adapted: what `adapt` returned, in training mode.
        output: the modules of its output layer.
        statistics: let the means and variances of batch norms follow the sound in training.
    """
    for name, module in adapted.named_modules():
        if isinstance(module, NORMS) and name not in output and not statistics:
            module.eval()
    for name, parameter in adapted.named_parameters():
        parameter.requires_grad_(_is_adapter(name) or name.rpartition(".")[0] in output)
    return [parameter for parameter in adapted.parameters() if parameter.requires_grad]


def is_adapted(classifier: nn.Module) -> bool:
    """Say whether a classifier carries adapters."""
    return any(_is_adapter(name) for name, _ in classifier.named_parameters())


@torch.no_grad()
def merged(adapted: nn.Module) -> nn.Module:
    """Return a copy with the changes in its weights: an ordinary network with the keys it had before `adapt`."""
    made = copy.deepcopy(adapted)
    if not is_adapted(made):
        return made
    around = (LowRank, _peft()[2])
    for name, module in list(made.named_modules()):
        if isinstance(module, around):
            module.merge(safe_merge=True)
            _replace(made, name, cast(nn.Module, module.base_layer))
    return made


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module into a network in the place of the one of this name."""
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)


def _layers(network: nn.Module, output: Set[str]) -> Iterator[tuple[str, Any]]:
    """Yield the convolutions and linear layers by name, the output's left out."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear) and name not in output:
            yield name, module


def _check_lengths(layers: dict[str, Any]) -> None:
    flat = [name for name, layer in layers.items() if not row_lengths(layer.weight.detach()).all()]
    if flat:
        raise HearlessError(
            f"DoRA scales kernels by their length, and {', '.join(flat[:5])} holds kernels of zeros; start from "
            "trained weights, or take lora."
        )


def _adapt_plain(layers: dict[str, Any], network: nn.Module, kind: str, rank: int, alpha: float) -> None:
    """Let peft put its adapters around these layers of a network."""
    if not layers:
        return
    config_class, inject, _ = _peft()
    ranks = {f"^{re.escape(name)}": rank_of(layer.weight, rank) for name, layer in layers.items()}
    config = config_class(
        r=rank, lora_alpha=alpha, target_modules="|".join(map(re.escape, layers)), rank_pattern=ranks,
        use_dora=kind == "dora",
    )  # fmt: skip
    inject(config, network)
    vars(network).pop("peft_config", None)  # its mark on the network, which would forbid adapters after a merge


def _peft() -> tuple[Any, Any, type[Any]]:
    """Return peft's configuration, what puts adapters into a network, and the class of its layers."""
    try:
        with quiet():
            from peft import LoraConfig, inject_adapter_in_model
            from peft.tuners.lora import LoraLayer
    except ImportError as error:
        raise HearlessError(
            f"adapters need peft, which could not be imported ({error}); pip install 'hearless[adapters]'."
        ) from error
    return LoraConfig, inject_adapter_in_model, LoraLayer


def _is_adapter(name: str) -> bool:
    """Say whether a parameter of this name is an adapter's."""
    return "lora_" in name
