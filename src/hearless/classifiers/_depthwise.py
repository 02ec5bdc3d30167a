"""A convolution of each channel by itself that trains fast where the map is smaller than the kernel.

Of low-rate sound the late layers get one to three bands.  There most rows of a kernel meet padding alone, and oneDNN
falls back to its reference for the weights' gradient wherever a side of the map is shorter than the kernel's, many
times slower.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Depthwise(nn.Conv2d):
    """``nn.Conv2d`` of odd kernel, a group a channel, padded so that stride 1 keeps the size.

    Where it trains, the kernel is cut to what can meet the map, and the map padded to at least that; the values stay.
    """

    def __init__(self, channels: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__(channels, channels, kernel, stride, padding=kernel // 2, groups=channels, bias=False)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if torch.compiler.is_compiling() or not (torch.is_grad_enabled() and weight.requires_grad):
            return cast(Tensor, super()._conv_forward(input, weight, bias))
        half, sizes = self.kernel_size[0] // 2, input.shape[2:]
        reach = [min(half, size - 1) for size in sizes]
        added = [max(0, (2 * r + 2 - size) // 2) for r, size in zip(reach, sizes, strict=True)]
        rows, columns = (slice(half - r, half + r + 1) for r in reach)
        wide = F.pad(input, (added[1], added[1], added[0], added[0])) if any(added) else input
        rest = [r - a for r, a in zip(reach, added, strict=True)]
        return F.conv2d(wide, weight[:, :, rows, columns], bias, self.stride, rest, groups=self.groups)
