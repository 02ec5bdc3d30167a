"""The building blocks of MobileNetV3 as EfficientAT lays them out: names and shapes of the published files."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class Row(NamedTuple):
    """One block of the network's table at width 1."""

    kernel: int
    expand: int
    out: int
    squeeze: bool
    hardswish: bool
    stride: int


def channels(value: float) -> int:
    """Return the multiple of 8 nearest ``value``, at least 8 and never more than 10 % below it."""
    nearest = max(8, int(value + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * value else nearest


def activation(hardswish: bool) -> nn.Module:
    """Return the activation of a block; it overwrites the batch norm's output."""
    return nn.Hardswish(inplace=True) if hardswish else nn.ReLU(inplace=True)


def convolution(
    into: int, out: int, *, kernel: int = 1, stride: int = 1, groups: int = 1, act: nn.Module | None = None
) -> nn.Sequential:
    """Return convolution → batch norm → activation, padded so that stride 1 keeps the size."""
    layers: list[nn.Module] = [
        nn.Conv2d(into, out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out, eps=1e-3),
    ]
    return nn.Sequential(*layers, *([act] if act is not None else []))


class ChannelGate(nn.Module):
    """Weigh each channel by two linear layers of the channels' means."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        squeezed = channels(n_channels // 4)
        self.fc1 = nn.Linear(n_channels, squeezed)
        self.fc2 = nn.Linear(squeezed, n_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gate ``[batch, channel, 1, 1]`` of ``[batch, channel, band, frame]``."""
        gate: Tensor = self.fc2(self.fc1(x.mean((2, 3))).relu()).sigmoid()
        return gate[:, :, None, None]


class SqueezeExcitation(nn.Module):
    """Multiply by a `ChannelGate`, kept under its published key."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList([ChannelGate(n_channels)])

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` weighed by its gate."""
        gated: Tensor = x * self.conc_se_layers[0](x)
        return gated


class InvertedResidual(nn.Module):
    """Expand, convolve each channel, gate, project; add the input where the shape stays."""

    def __init__(self, into: int, row: Row, width: float) -> None:
        super().__init__()
        wide, out = channels(row.expand * width), channels(row.out * width)
        self.block = nn.Sequential(
            *([convolution(into, wide, act=activation(row.hardswish))] if wide != into else []),
            convolution(wide, wide, kernel=row.kernel, stride=row.stride, groups=wide, act=activation(row.hardswish)),
            *([SqueezeExcitation(wide)] if row.squeeze else []),
            convolution(wide, out),
        )
        self.residual = row.stride == 1 and into == out

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, out, band / stride, frame / stride]``, sizes rounded up."""
        y: Tensor = self.block(x)
        return x + y if self.residual else y
