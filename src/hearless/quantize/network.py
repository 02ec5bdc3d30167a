"""A classifier as a graph with quantizers in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from hearless.classifiers._checks import check_features
from hearless.interfaces import Classifier, HearlessError, Prediction
from hearless.quantize.graphs import allow_modes, set_mode


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
        allow_modes(graph)
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
            set_mode(self.graph, *wanted)
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
