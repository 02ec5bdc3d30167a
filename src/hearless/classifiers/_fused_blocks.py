"""The building blocks of EfficientNetV2: names and shapes of timm's ``tf_`` files, TensorFlow's padding and epsilon."""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from hearless.classifiers._same import pad_same


def normalise(n_channels: int) -> nn.BatchNorm2d:
    """Return a batch norm with TensorFlow's epsilon."""
    return nn.BatchNorm2d(n_channels, eps=1e-3)


def convolution(into: int, out: int, *, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """Return a convolution of odd kernel without bias; where it strides, `same` pads it."""
    padding = kernel // 2 if stride == 1 else 0
    return nn.Conv2d(into, out, kernel, stride=stride, padding=padding, groups=groups, bias=False)


def same(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a `convolution` with TensorFlow's "SAME" padding: ``ceil(size / stride)`` values leave."""
    stride = conv.stride[0]
    return cast(Tensor, conv(x if stride == 1 else pad_same(x, conv.kernel_size[0], stride)))


class Gate(nn.Module):
    """Squeeze and excitation: weigh each channel by two 1×1 convolutions of the channels' means."""

    def __init__(self, n_channels: int, squeezed: int) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv2d(n_channels, squeezed, 1)
        self.conv_expand = nn.Conv2d(squeezed, n_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` weighed by its gate."""
        gate = cast(Tensor, self.conv_expand(F.silu(self.conv_reduce(x.mean((2, 3), keepdim=True)))))
        return x * gate.sigmoid()


class PlainBlock(nn.Module):
    """One 3×3 convolution; nothing is expanded."""

    def __init__(self, into: int, out: int, stride: int, expand: int) -> None:
        super().__init__()
        self.conv, self.bn1 = convolution(into, out, kernel=3, stride=stride), normalise(out)
        self.residual = stride == 1 and into == out

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, out, band / stride, frame / stride]``, sizes rounded up."""
        y = F.silu(self.bn1(same(self.conv, x)))
        return x + y if self.residual else y


class FusedBlock(nn.Module):
    """Expand by a 3×3 convolution, project."""

    def __init__(self, into: int, out: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = expand * into
        self.conv_exp, self.bn1 = convolution(into, wide, kernel=3, stride=stride), normalise(wide)
        self.conv_pwl, self.bn2 = convolution(wide, out), normalise(out)
        self.residual = stride == 1 and into == out

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, out, band / stride, frame / stride]``, sizes rounded up."""
        y = cast(Tensor, self.bn2(self.conv_pwl(F.silu(self.bn1(same(self.conv_exp, x))))))
        return x + y if self.residual else y


class GatedBlock(nn.Module):
    """Expand, convolve each channel, gate, project; the gate squeezes to a quarter of what enters."""

    def __init__(self, into: int, out: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = expand * into
        self.conv_pw, self.bn1 = convolution(into, wide), normalise(wide)
        self.conv_dw, self.bn2 = convolution(wide, wide, kernel=3, stride=stride, groups=wide), normalise(wide)
        self.se = Gate(wide, into // 4)
        self.conv_pwl, self.bn3 = convolution(wide, out), normalise(out)
        self.residual = stride == 1 and into == out

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, out, band / stride, frame / stride]``, sizes rounded up."""
        y = F.silu(self.bn1(self.conv_pw(x)))
        y = F.silu(self.bn2(same(self.conv_dw, y)))
        y = cast(Tensor, self.bn3(self.conv_pwl(self.se(y))))
        return x + y if self.residual else y


BLOCKS: dict[str, type[PlainBlock] | type[FusedBlock] | type[GatedBlock]] = {
    "plain": PlainBlock,
    "fused": FusedBlock,
    "gated": GatedBlock,
}
