"""EfficientNetV2-B0 to B3 over log-Mel features; B2 is the backbone of paper 002.

Source: Tan, Le, "EfficientNetV2: smaller models and faster training" (ICML 2021), in the layout of timm's
``tf_efficientnetv2_b*`` (TensorFlow's padding, epsilon 1e-3), whose ImageNet files load strictly: 8,735,825 parameters
for B2 with 35 classes, 8,756,960 with 50.  What differs from timm: one input channel only, no stochastic depth, and a
factor ``width`` for networks narrower than B0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.functional import silu

from hearless.classifiers._checks import check_at_least, check_features, fits, load_strictly
from hearless.classifiers._fused_blocks import BLOCKS, convolution, normalise, same
from hearless.interfaces import HearlessError, Prediction, Remote, Weights

EXAMPLE: dict[str, Any] = {"variant": "b0", "n_classes": 3, "width": 0.25}

STEM_WEIGHT, OUTPUT = "conv_stem.weight", "classifier."
STEM, HEAD = 32, 1280
SCALES = {"b0": (1.0, 1.0), "b1": (1.0, 1.1), "b2": (1.1, 1.2), "b3": (1.2, 1.4)}
"""Factors on channels and on blocks a stage."""

RGB = ("sum", "mean")


class Row(NamedTuple):
    """One stage of the network's table, as B0 has it."""

    kind: str
    n_blocks: int
    stride: int
    expand: int
    out: int


TABLE = (
    Row("plain", 1, 1, 1, 16), Row("fused", 2, 2, 4, 32), Row("fused", 2, 2, 4, 48),
    Row("gated", 3, 2, 4, 96), Row("gated", 5, 1, 6, 112), Row("gated", 8, 2, 6, 192),
)  # fmt: skip


def channels(value: float) -> int:
    """Return the multiple of 8 nearest ``value``, at least 8."""
    return max(8, int(value + 4) // 8 * 8)


class EfficientNetV2(nn.Module):
    """EfficientNetV2, small enough for a terminal device.

    Any number of bands and frames from ``min_bands`` and ``min_frames`` on; both are halved five times, rounded up.
    Maps are ``conv_stem``, ``blocks.0`` to ``blocks.5`` and ``conv_head``; the embedding is their pooled last.

    Args:
        variant: b0, b1, b2 or b3.
        n_classes: number of classes.
        stem_from_rgb: how an image network's three input channels become one: sum (as timm) or mean (as CMKD's notes).
        width: factor on the variant's channels; below 1 no published file fits.
        dropout: share of the embedding dropped in training.

    Raises:
        HearlessError: an unknown variant or way, fewer than one class, a width below 0.1, a dropout outside [0, 1).
    """

    def __init__(
        self,
        *,
        variant: str = "b2",
        n_classes: int = 527,
        stem_from_rgb: str = "sum",
        width: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check_choice("variant", variant, tuple(SCALES))
        _check_choice("stem_from_rgb", stem_from_rgb, RGB)
        check_at_least("EfficientNetV2: n_classes", n_classes, 1, "give the number of classes")
        check_at_least("EfficientNetV2: width", width, 0.1, "the published one is 1")
        if not 0 <= dropout < 1:
            raise HearlessError(f"EfficientNetV2: dropout must be in [0, 1), got {dropout}; timm's is 0.")
        self.n_classes, self.min_frames, self.min_bands = n_classes, 8, 8
        self.stem_from_rgb = stem_from_rgb
        wide, deep = SCALES[variant][0] * width, SCALES[variant][1]
        into = channels(STEM * wide)
        self.conv_stem, self.bn1 = convolution(1, into, kernel=3, stride=2), normalise(into)
        self.blocks = nn.Sequential()
        for row in TABLE:
            self.blocks.append(_stage(into, row, channels(row.out * wide), deep))
            into = channels(row.out * wide)
        head = channels(HEAD * wide)
        self.conv_head, self.bn2 = convolution(into, head), normalise(head)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(head, n_classes)
        initialise(self)

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        """Classify normalised log-Mel ``[batch, 1, band, frame]``.

        Args:
            features: at least ``min_bands`` bands and ``min_frames`` frames.
            keep: 0/1, broadcastable to ``features``, multiplied on them.
            maps: also return what leaves each stage, ``[batch, channel, band, frame]``.

        Raises:
            HearlessError: too few bands or frames.
        """
        check_features("EfficientNetV2", features, self.min_bands, self.min_frames)
        last = features if keep is None else features * keep
        inner: dict[str, Tensor] = {}
        for name, stage in self._stages(last):
            last = stage
            if maps:
                inner[name] = stage
        embedding = last.mean((2, 3))
        return Prediction(
            logits=self.classifier(self.dropout(embedding)), embedding=embedding, features=features, maps=inner
        )

    def _stages(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield what leaves each stage, by name."""
        x = silu(self.bn1(same(self.conv_stem, x)))
        yield "conv_stem", x
        for index, stage in enumerate(self.blocks):
            x = stage(x)
            yield f"blocks.{index}", x
        yield "conv_head", silu(self.bn2(self.conv_head(x)))

    def load_official(self, state: Mapping[str, Tensor], *, replace_output: bool = False) -> None:
        """Load a timm state dict strictly; ``replace_output`` keeps this network's own classifier.

        Three input channels of an image network become one by ``stem_from_rgb``.

        Raises:
            HearlessError: keys or shapes differ; all kinds of difference are listed.
        """
        stem = state.get(STEM_WEIGHT)
        if isinstance(stem, Tensor) and stem.ndim == 4 and stem.shape[1] == 3:
            total = stem.sum(1, keepdim=True)
            state = {**state, STEM_WEIGHT: total if self.stem_from_rgb == "sum" else total / 3.0}
        load_strictly("EfficientNetV2", self, state, output=OUTPUT, replace_output=replace_output)

    @classmethod
    def recognise(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
        """Return ``variant``, ``n_classes`` and ``width`` that fit these keys and shapes (of a stem of RGB too)."""
        output, stem = shapes.get(OUTPUT + "weight", ()), shapes.get(STEM_WEIGHT, ())
        if len(output) != 2 or len(stem) != 4:
            return None
        shapes = {**shapes, STEM_WEIGHT: (stem[0], 1 if stem[1] == 3 else stem[1], *stem[2:])}
        tried = (
            {"variant": variant, "n_classes": output[0], "width": width}
            for variant in _variants(shapes)
            for width in _widths(variant, output[1])
        )
        return next((arguments for arguments in tried if fits(cls, arguments, shapes)), None)


def initialise(network: nn.Module) -> None:
    """Draw convolutions normal by what leaves each group, the classifier Xavier; biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            leaving = layer.out_channels * math.prod(layer.kernel_size) // layer.groups
            nn.init.normal_(layer.weight, std=math.sqrt(2.0 / leaving))
        elif isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _stage(into: int, row: Row, out: int, deep: float) -> nn.Sequential:
    block, n_blocks = BLOCKS[row.kind], math.ceil(row.n_blocks * deep)
    rest = [block(out, out, 1, row.expand) for _ in range(n_blocks - 1)]
    return nn.Sequential(block(into, out, row.stride, row.expand), *rest)


def _variants(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Return the variants whose last stage has as many blocks."""
    n_blocks = sum(key.startswith("blocks.5.") and key.endswith(".conv_dw.weight") for key in shapes)
    return [variant for variant, (_, deep) in SCALES.items() if math.ceil(TABLE[-1].n_blocks * deep) == n_blocks]


def _widths(variant: str, head: int) -> list[float]:
    """Return the widths that give this head: round ones first."""
    nearest = head / (HEAD * SCALES[variant][0])
    tried = dict.fromkeys(round(nearest + step, digits) for digits in (2, 3) for step in (0.0, 0.003, -0.003))
    return [width for width in tried if width >= 0.1 and channels(HEAD * SCALES[variant][0] * width) == head]


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise HearlessError(f"EfficientNetV2: {name} must be one of {', '.join(known)}, got {value!r}.")


WEIGHTS: dict[str, Weights] = {
    "efficientnetv2_b2_imagenet": Weights(
        remote=Remote(
            url="https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-effv2-weights/"
            "tf_efficientnetv2_b2-847de54e.pth",
            filename="tf_efficientnetv2_b2-847de54e.pth",
            checksum="sha256:847de54eb133fad3ab1230ff637ed242aefe9fd2da197d041e6753d9ec5a80bd",
        ),
        licence="Apache-2.0",
        source="timm, tf_efficientnetv2_b2.in1k: 1,000 classes of images",
        arguments={"variant": "b2", "n_classes": 1000},
    )
}
"""A start, no listener: it knows neither a front end nor classes of sound."""
