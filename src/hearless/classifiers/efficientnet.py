"""EfficientNet B0 to B7 with one input channel (Tan and Le, ICML 2019): paper 003's students on transcoded Mel.

Layout and key names of the PyTorch port the paper used (``_conv_stem`` … ``_fc``); with 527 classes and one channel
4,682,059 parameters (B0) and 65,135,455 (B7).  What differs from it: "SAME" padding follows the actual input instead
of the ImageNet size, and the features are turned inside to the published ``[frame, band]``.  The paper resizes its
Mel to 101 by 64 and clips the output to 0…1 instead of a sigmoid; neither is the network's affair.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hearless.classifiers._checks import check_at_least, check_features, fits, load_strictly
from hearless.classifiers._inverted_residual import channels
from hearless.classifiers._same import pad_same
from hearless.interfaces import HearlessError, Prediction, Weights

EXAMPLE: dict[str, Any] = {"n_classes": 3}

OUTPUT = "_fc."


class Row(NamedTuple):
    """A stage of the network at width and depth 1."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    out: int


class Scale(NamedTuple):
    """What a variant multiplies channels and repeats with, and the dropout before its last layer."""

    width: float
    depth: float
    dropout: float


STEM, HEAD = 32, 1280
TABLE = (
    Row(1, 3, 1, 1, 16), Row(2, 3, 2, 6, 24), Row(2, 5, 2, 6, 40), Row(3, 3, 2, 6, 80), Row(3, 5, 1, 6, 112),
    Row(4, 5, 2, 6, 192), Row(1, 3, 1, 6, 320),
)  # fmt: skip
VARIANTS = {
    "b0": Scale(1.0, 1.0, 0.2), "b1": Scale(1.0, 1.1, 0.2), "b2": Scale(1.1, 1.2, 0.3), "b3": Scale(1.2, 1.4, 0.3),
    "b4": Scale(1.4, 1.8, 0.4), "b5": Scale(1.6, 2.2, 0.4), "b6": Scale(1.8, 2.6, 0.5), "b7": Scale(2.0, 3.1, 0.5),
}  # fmt: skip
DROP_PATH = 0.2
"""Share of clips for which the last block's branch is left out in training; less before it, in proportion."""


class EfficientNet(nn.Module):
    """EfficientNet over features of any kind and size.

    Args:
        variant: ``"b0"`` to ``"b7"``.
        n_classes: number of classes.

    Raises:
        HearlessError: an unknown variant or fewer than one class.
    """

    def __init__(self, *, variant: str = "b0", n_classes: int = 527) -> None:
        super().__init__()
        check_at_least("EfficientNet: n_classes", n_classes, 1, "give the number of classes")
        if variant not in VARIANTS:
            raise HearlessError(f"EfficientNet: variant must be one of {', '.join(VARIANTS)}, got {variant!r}.")
        scale = VARIANTS[variant]
        self.n_classes, self.min_frames, self.min_bands = n_classes, 8, 8
        into = channels(STEM * scale.width)
        self._conv_stem, self._bn0 = nn.Conv2d(1, into, 3, 2, bias=False), _norm(into)
        blocks: list[nn.Module] = []
        n_blocks = sum(math.ceil(row.repeats * scale.depth) for row in TABLE)
        for row in TABLE:
            for n in range(math.ceil(row.repeats * scale.depth)):
                drop = DROP_PATH * len(blocks) / n_blocks
                out = channels(row.out * scale.width)
                blocks.append(Block(into, out, row._replace(stride=row.stride if n == 0 else 1), drop))
                into = out
        self._blocks = nn.ModuleList(blocks)
        self.dimension = channels(HEAD * scale.width)
        self._conv_head, self._bn1 = nn.Conv2d(into, self.dimension, 1, bias=False), _norm(self.dimension)
        self._dropout = nn.Dropout(scale.dropout)
        self._fc = nn.Linear(self.dimension, n_classes)

    def forward(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        """Classify ``[batch, 1, band, frame]``.

        Args:
            features: at least 8 bands and 8 frames.
            keep: 0/1, broadcastable to ``features``, multiplied on them.
            maps: also return what leaves each block, ``[batch, channel, band, frame]``.

        Raises:
            HearlessError: too few bands or frames.
        """
        check_features("EfficientNet", features, self.min_bands, self.min_frames)
        x = (features if keep is None else features * keep).mT
        x = nn.functional.silu(self._bn0(self._conv_stem(pad_same(x, 3, 2))))
        inner: dict[str, Tensor] = {}
        for index, block in enumerate(self._blocks):
            x = block(x)
            if maps:
                inner[f"blocks.{index}"] = x.mT
        x = nn.functional.silu(self._bn1(self._conv_head(x)))
        embedding = self._dropout(x.mean((2, 3)))
        return Prediction(logits=self._fc(embedding), embedding=embedding, features=features, maps=inner)

    def load_official(self, state: Mapping[str, Tensor], *, replace_output: bool = False) -> None:
        """Load a state dict of this layout strictly; ``replace_output`` keeps this network's own last layer."""
        load_strictly("EfficientNet", self, state, output=OUTPUT, replace_output=replace_output)

    @classmethod
    def recognise(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
        """Return ``variant`` and ``n_classes`` that fit these keys and shapes, or None."""
        output = shapes.get(OUTPUT + "weight", ())
        if len(output) != 2:
            return None
        wide = [name for name, scale in VARIANTS.items() if channels(HEAD * scale.width) == output[1]]
        tried = ({"variant": name, "n_classes": output[0]} for name in wide)
        return next((arguments for arguments in tried if fits(cls, arguments, shapes)), None)


class Block(nn.Module):
    """Expand, convolve each channel, gate, project; add the input where the shape stays."""

    def __init__(self, into: int, out: int, row: Row, drop: float) -> None:
        super().__init__()
        wide, squeezed = into * row.expand, max(1, into // 4)
        self._expands = row.expand != 1
        if self._expands:
            self._expand_conv, self._bn0 = nn.Conv2d(into, wide, 1, bias=False), _norm(wide)
        self._depthwise_conv = nn.Conv2d(wide, wide, row.kernel, row.stride, groups=wide, bias=False)
        self._bn1 = _norm(wide)
        self._se_reduce, self._se_expand = nn.Conv2d(wide, squeezed, 1), nn.Conv2d(squeezed, wide, 1)
        self._project_conv, self._bn2 = nn.Conv2d(wide, out, 1, bias=False), _norm(out)
        self._kernel, self._stride = row.kernel, row.stride
        self._residual, self._drop = row.stride == 1 and into == out, drop

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, out, frame / stride, band / stride]``, sizes rounded up."""
        silu = nn.functional.silu
        y = silu(self._bn0(self._expand_conv(x))) if self._expands else x
        y = silu(self._bn1(self._depthwise_conv(pad_same(y, self._kernel, self._stride))))
        gate = self._se_expand(silu(self._se_reduce(y.mean((2, 3), keepdim=True)))).sigmoid()
        y = self._bn2(self._project_conv(y * gate))
        return x + drop_path(y, self._drop, self.training) if self._residual else y


def drop_path(branch: Tensor, share: float, training: bool) -> Tensor:
    """Leave out the branch of ``share`` of the clips in training, and make up for it in the others."""
    if not training or share == 0.0:
        return branch
    kept = torch.rand(branch.shape[0], 1, 1, 1, dtype=branch.dtype, device=branch.device) >= share
    return branch * kept / (1.0 - share)


def _norm(n_channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(n_channels, eps=1e-3, momentum=0.01)


WEIGHTS: dict[str, Weights] = {}
"""None is published for one channel and sound; `recognise` knows files of this layout."""
