"""DS-FlexiNet: depthwise-separable residual blocks with Residual Normalization, 13.7 to 126 thousand parameters.

Source: Chen et al., "Improving Acoustic Scene Classification in Low-Resource Conditions" (paper 004, §II.A-B,
Table II); Residual Normalization after Kim et al. (QTI, DCASE 2021).  No code is public and the paper's figure gives
no widths, so this is a reading: of the families that fit its words, the one whose four sizes lie nearest to Table II
(13.76 K / 3.88 M, 30.69 K / 8.27 M, 54.98 K / 14.34 M, 126.12 K / 23.03 M; ours are within 0.7 %).

Two 3×3 convolutions of stride 2; three stages of two blocks; a block is depthwise 3×3 → BN → ReLU → pointwise → BN,
plus its input (a strided 1×1 convolution → BN where the shape changes), then the norm, then ReLU; a 1×1 convolution
→ BN to the classes, averaged over the map.  Where the paper compares "+BN" with "+RN", that norm is meant; the batch
norms within a block stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hearless.classifiers._checks import check_at_least, check_features, fits, load_strictly
from hearless.interfaces import HearlessError, Prediction, Weights

EXAMPLE: dict[str, Any] = {"n_classes": 3, "size": "sm1"}

WIDTHS = {"sm1": (20, 24, 64), "sm2": (28, 56, 82), "sm3": (36, 82, 110), "sm4": (28, 138, 186)}
"""Channels of the three stages; the first convolution has a quarter of the first."""

STRIDES = ((1, 1), (2, 2), (2, 1))
"""Stride (band, frame) of each stage's first block."""

BLOCKS = 2
NORMS = ("residual", "residual_frequency", "batch", "none")
OVER = {"residual": (2, 3), "residual_frequency": (1, 3)}
"""Axes of ``[batch, channel, band, frame]`` that the statistics of Residual Normalization are taken over."""

LAMBDA = 0.1
EPS = 1e-5
OUTPUT = "head."


def instance_normalised(x: Tensor, over: tuple[int, int]) -> Tensor:
    """Return ``(x - mean) / sqrt(variance + EPS)``, each clip's own (biased) statistics over two axes."""
    centred = x - x.mean(over, keepdim=True)
    return centred * torch.rsqrt(centred.square().mean(over, keepdim=True) + EPS)


class ResidualNorm(nn.Module):
    """``λ x + IN(x)`` with one trainable λ (equation 2).

    Args:
        over: ``(2, 3)`` for statistics per clip and channel, ``(1, 3)`` per clip and band.
    """

    def __init__(self, over: tuple[int, int]) -> None:
        super().__init__()
        self.over = over
        self.weight = nn.Parameter(torch.tensor([LAMBDA]))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``[batch, channel, band, frame]``."""
        return self.weight * x + instance_normalised(x, self.over)


def norm_of(norm: str, n_channels: int) -> nn.Module:
    """Return what stands behind a block's sum."""
    if norm in OVER:
        return ResidualNorm(OVER[norm])
    return nn.BatchNorm2d(n_channels) if norm == "batch" else nn.Identity()


def convolution(
    into: int, out: int, *, kernel: int = 1, stride: int | tuple[int, int] = 1, groups: int = 1, relu: bool = False
) -> nn.Sequential:
    """Return convolution → batch norm (→ ReLU), padded so that stride 1 keeps the size."""
    layers: list[nn.Module] = [
        nn.Conv2d(into, out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


class Block(nn.Module):
    """A depthwise-separable convolution beside a shortcut, then the norm and ReLU."""

    def __init__(self, into: int, out: int, stride: tuple[int, int], norm: str) -> None:
        super().__init__()
        self.depthwise = convolution(into, into, kernel=3, stride=stride, groups=into, relu=True)
        self.pointwise = convolution(into, out)
        same = into == out and stride == (1, 1)
        self.shortcut: nn.Module = nn.Identity() if same else convolution(into, out, stride=stride)
        self.norm = norm_of(norm, out)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, out, band / stride, frame / stride]``, sizes rounded up."""
        y: Tensor = self.norm(self.pointwise(self.depthwise(x)) + self.shortcut(x))
        return torch.relu(y)


class DSFlexiNet(nn.Module):
    """The four student models of paper 004.

    Features are the normalised log-Mel of ``PreEmphasisMel``; the paper's are 256 bands × 64 frames.  Maps are
    ``stem`` and ``stage1`` to ``stage3``.  Below 32 bands or 16 frames the last map has fewer than 2 × 2 places, of
    which no statistics can be taken.

    Args:
        size: ``"sm1"``, ``"sm2"``, ``"sm3"`` or ``"sm4"``.
        norm: what follows a block's sum: ``"residual"`` (statistics per clip and channel), ``"residual_frequency"``
            (per clip and band), ``"batch"`` or ``"none"``.
        n_classes: number of classes.

    Raises:
        HearlessError: an unknown size or norm, or fewer than one class.
    """

    def __init__(self, *, size: str = "sm2", norm: str = "residual", n_classes: int = 10) -> None:
        super().__init__()
        for name, value, known in (("size", size, WIDTHS), ("norm", norm, NORMS)):
            if value not in known:
                raise HearlessError(f"DSFlexiNet: {name} must be one of {', '.join(known)}, got {value!r}.")
        check_at_least("DSFlexiNet: n_classes", n_classes, 1, "give the number of classes")
        self.n_classes, self.min_bands, self.min_frames = n_classes, 32, 16
        into = WIDTHS[size][0]
        self.stem = nn.Sequential(
            convolution(1, into // 4, kernel=3, stride=2, relu=True),
            convolution(into // 4, into, kernel=3, stride=2, relu=True),
        )
        self.stages = nn.Sequential()
        for out, stride in zip(WIDTHS[size], STRIDES, strict=True):
            first = Block(into, out, stride, norm)
            rest = (Block(out, out, (1, 1), norm) for _ in range(BLOCKS - 1))
            self.stages.append(nn.Sequential(first, *rest))
            into = out
        self.head = convolution(into, n_classes)
        initialise(self)

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        """Classify normalised log-Mel ``[batch, 1, band, frame]``.

        Args:
            features: at least ``min_bands`` bands and ``min_frames`` frames.
            keep: 0/1, broadcastable to ``features``, multiplied on them.
            maps: also return what leaves each stage, ``[batch, channel, band, frame]``.

        Returns:
            Logits, and as embedding the mean of the last map ``[batch, channel]``.

        Raises:
            HearlessError: too few bands or frames.
        """
        check_features("DSFlexiNet", features, self.min_bands, self.min_frames)
        x = self.stem(features if keep is None else features * keep)
        inner = {"stem": x}
        for number, stage in enumerate(self.stages, start=1):
            x = inner[f"stage{number}"] = stage(x)
        logits = self.head(x).mean((2, 3))
        return Prediction(logits=logits, embedding=x.mean((2, 3)), features=features, maps=inner if maps else {})

    def load_official(self, state: Mapping[str, Tensor], *, replace_output: bool = False) -> None:
        """Load a state dict of this class strictly (none is published); ``replace_output`` keeps its own head."""
        load_strictly("DSFlexiNet", self, state, output=OUTPUT, replace_output=replace_output)

    @classmethod
    def recognise(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
        """Return ``size``, ``norm`` and ``n_classes`` that fit these keys and shapes, or None.

        Both residual norms have the same keys; ``"residual"`` is taken.
        """
        output = shapes.get(OUTPUT + "0.weight", ())
        if len(output) != 4:
            return None
        tried = ({"size": size, "norm": norm, "n_classes": output[0]} for size in WIDTHS for norm in NORMS)
        return next((arguments for arguments in tried if fits(cls, arguments, shapes)), None)


def initialise(network: nn.Module) -> None:
    """Kaiming-normal convolutions by what leaves them; batch norms keep weight 1 and bias 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


WEIGHTS: dict[str, Weights] = {}
