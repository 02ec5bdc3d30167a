"""YAMNet: MobileNetV1 over patches of 96 frames of log-Mel, 521 AudioSet classes (Plakal and Ellis, 2020).

Counts as the port of paper 003: 3,740,425 parameters with batch norms (``epsilon`` 1e-4).  What differs from the
published code: the axes are this project's ``[band, frame]`` (turned inside), and a batch norm has a scale, as in the
port (the original has none).

Patches: the first starts at frame 0, the next 48 frames (0.48 s) on, as published; frames behind the last whole patch
are not heard.  A clip's score is the mean of its patches' sigmoid scores; ``logits`` are the logits of that mean (of
one patch: its own), ``embedding`` is the mean of the patches'.

Published weights come with their normalisation folded into the convolutions (a TFLite file, ReLU6 in its
activations): a state dict of their tensors (``layer01.conv.weight``, ``.bias``, ``layer02.dw.weight`` …) loads as
scale sqrt(1 + epsilon), bias, mean 0, variance 1.  The TFLite container itself is not read here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hearless.classifiers._checks import check_at_least, check_features, fits, load_strictly, shapes_of
from hearless.classifiers._same import SamePad
from hearless.interfaces import HearlessError, Prediction, Remote, Weights
from hearless.spec import named

EXAMPLE: dict[str, Any] = {"n_classes": 3}

OUTPUT = "fc."
EPSILON = 1e-4
PATCH = 96
MIN_BANDS = 64
DIMENSION = 1024
STEM = 32
TABLE = (
    (1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512),
    (1, 512), (1, 512), (1, 512), (1, 512), (1, 512), (2, 1024), (1, 1024),
)  # fmt: skip
"""Stride of the depthwise convolution and channels of the pointwise one behind it."""


class YAMNet(nn.Module):
    """Log-Mel of ``YAMNetMel`` → 521 AudioSet classes.

    Args:
        n_classes: number of classes.
        relu6: clip activations at 6, as the published TFLite file does; the original network does not.
        hop_frames: frames from one patch to the next.

    Raises:
        HearlessError: fewer than one class, or a hop outside 1 to 96.
    """

    def __init__(self, *, n_classes: int = 521, relu6: bool = False, hop_frames: int = 48) -> None:
        super().__init__()
        check_at_least("YAMNet: n_classes", n_classes, 1, "give the number of classes")
        if not 1 <= hop_frames <= PATCH:
            raise HearlessError(f"YAMNet: hop_frames must lie between 1 and {PATCH}, got {hop_frames}; try 48.")
        self.n_classes, self.min_frames, self.min_bands = n_classes, PATCH, MIN_BANDS
        self._hop = hop_frames
        layers: dict[str, nn.Module] = {"layer01": _layer("conv", nn.Conv2d(1, STEM, 3, 2, bias=False), STEM, relu6)}
        into = STEM
        for stride, out in TABLE:
            depthwise = nn.Conv2d(into, into, 3, stride, groups=into, bias=False)
            layers[f"layer{len(layers) + 1:02}"] = _layer("dw", depthwise, into, relu6)
            layers[f"layer{len(layers) + 1:02}"] = _layer("conv", nn.Conv2d(into, out, 1, bias=False), out, relu6)
            into = out
        self.layers = nn.ModuleDict(layers)
        self.fc = nn.Linear(DIMENSION, n_classes)

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        """Classify log-Mel ``[batch, 1, band, frame]``.

        Args:
            features: at least 64 bands and 96 frames.
            keep: 0/1, broadcastable to ``features``, multiplied on them.
            maps: also return what leaves each layer, ``[batch, channel, band, frame]``, of the first patch.

        Raises:
            HearlessError: too few bands or frames.
        """
        check_features("YAMNet", features, self.min_bands, self.min_frames)
        x = features if keep is None else features * keep
        patches = x.unfold(-1, PATCH, self._hop)[:, 0].movedim(2, 1)  # [batch, patch, band, frame]
        n_clips, n_patches = patches.shape[:2]
        x = patches.flatten(0, 1).mT.unsqueeze(1)
        inner: dict[str, Tensor] = {}
        for name, layer in self.layers.items():
            x = layer(x)
            if maps:
                inner[name] = x[::n_patches].mT
        embedding = x.mean((2, 3))
        logits = mean_score(self.fc(embedding).reshape(n_clips, n_patches, -1))
        embedding = embedding.reshape(n_clips, n_patches, -1).mean(1)
        return Prediction(logits=logits, embedding=embedding, features=features, maps=inner)

    def load_official(self, state: Mapping[str, Tensor], *, replace_output: bool = False) -> None:
        """Load folded published tensors or this class's own state dict, strictly.

        ``replace_output`` keeps this network's own last layer.
        """
        own = _unfolded(state) if _is_folded(state) else state
        load_strictly("YAMNet", self, own, output=OUTPUT, replace_output=replace_output)

    @classmethod
    def recognise(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
        """Return the arguments that fit these keys and shapes, or None; folded tensors are ReLU6's."""
        output = shapes.get(OUTPUT + "weight", ())
        if len(output) != 2:
            return None
        folded = _is_folded(shapes)
        if folded:
            with torch.device("meta"):
                shapes = shapes_of(_unfolded({key: torch.empty(shape) for key, shape in shapes.items()}))
        return {"n_classes": output[0], "relu6": folded} if fits(cls, {"n_classes": output[0]}, shapes) else None


def mean_score(logits: Tensor) -> Tensor:
    """Return the logits of the mean sigmoid score over patches, ``[batch, patch, class]`` → ``[batch, class]``."""
    score, rest = nn.functional.logsigmoid(logits), nn.functional.logsigmoid(-logits)
    return logits[:, 0] if logits.shape[1] == 1 else score.logsumexp(1) - rest.logsumexp(1)


def _layer(kind: str, convolution: nn.Conv2d, out: int, relu6: bool) -> nn.Sequential:
    """Return padding → convolution → batch norm → activation, the convolution under the published name of its kind."""
    layer = nn.Sequential()
    layer.add_module("pad", SamePad(convolution.kernel_size[0], convolution.stride[0]))
    layer.add_module(kind, convolution)
    layer.add_module("bn", nn.BatchNorm2d(out, eps=EPSILON))
    layer.add_module("act", nn.ReLU6() if relu6 else nn.ReLU())
    return layer


def _is_folded(state: Mapping[str, Any]) -> bool:
    return "layer01.conv.bias" in state


def _unfolded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return this class's state dict of folded tensors, the file's Mel matrix left out."""
    own: dict[str, Tensor] = {}
    for key, tensor in state.items():
        layer, _, rest = key.partition(".")
        if key == "mel_matrix":
            continue
        if not layer.startswith("layer"):
            own[key] = tensor.float()
        elif rest.endswith("weight"):
            own[f"layers.{key}"] = tensor.float()
        else:
            own |= {f"layers.{layer}.bn.{name}": value for name, value in _identity(tensor.float()).items()}
    return own


def _identity(bias: Tensor) -> dict[str, Tensor]:
    """Return the tensors of a batch norm that adds ``bias`` and changes nothing else."""
    one = torch.ones_like(bias)
    count = torch.zeros((), dtype=torch.long, device=bias.device)
    scale = math.sqrt(1.0 + EPSILON)
    return {
        "weight": one * scale, "bias": bias, "running_mean": 0 * one, "running_var": one, "num_batches_tracked": count
    }  # fmt: skip


WEIGHTS: dict[str, Weights] = {
    "yamnet": Weights(
        remote=Remote(
            "https://github.com/GreenWaves-Technologies/yamnet/raw/623e900151129b3d38eb323a4de758bd5fcdb052/"
            "models/lite-model_yamnet_classification_tflite_1.tflite",
            "lite-model_yamnet_classification_tflite_1.tflite",
            "sha256:10c95ea3eb9a7bb4cb8bddf6feb023250381008177ac162ce169694d05c317de",
        ),
        licence="Apache-2.0",
        source="TensorFlow Hub, google/lite-model/yamnet/classification/tflite/1 (int8; dequantise it to a state dict)",
        arguments={"n_classes": 521, "relu6": True},
        frontend=named("frontends", "YAMNetMel", input_rate_hz=16000),
        labels="yamnet",
    ),
}
