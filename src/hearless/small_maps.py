"""Convolve each channel by itself without meeting padding for nothing, where a map is smaller than the kernel.

Of low-rate sound a network's late layers get one to three bands.  There most rows of a 5×5 kernel meet padding alone,
and oneDNN falls back to its reference for the weights' gradient wherever a side of the map is shorter than the
kernel's, many times slower.  The layers stay PyTorch's own, so that conversions and counts know them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class CutKernels(TorchFunctionMode):
    """A context in which depthwise kernels that train on a CPU are cut to what can meet the map.

    The map is padded to at least the cut kernel's size.  Values and gradients stay those of the whole kernel, up to
    the order of sums.  Kernels of even size, dilated ones and others than half padded are left alone.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        """Call ``func``, a convolution of a small map with its kernel cut."""
        if func is F.conv2d and not kwargs and len(args) == len(_NAMES) and _wasteful(*args):
            return _cut(*args[:5])
        return func(*args, **(kwargs or {}))


_NAMES = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
"""As `torch.nn.Conv2d` passes them."""


def _wasteful(
    heard: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> bool:
    kernel = tuple(weight.shape[2:])
    return (
        any(size < side for size, side in zip(heard.shape[2:], kernel, strict=True))
        and groups == heard.shape[1] == len(weight)
        and tuple(dilation) == (1, 1)
        and all(side % 2 for side in kernel)
        and tuple(padding) == tuple(side // 2 for side in kernel)
        and heard.device.type == "cpu"
        and weight.requires_grad
        and torch.is_grad_enabled()
    )


def _cut(heard: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: tuple[int, int]) -> Tensor:
    sizes = heard.shape[2:]
    reach = [min(half, size - 1) for half, size in zip(padding, sizes, strict=True)]
    added = [max(0, (2 * r + 2 - size) // 2) for r, size in zip(reach, sizes, strict=True)]
    rows, columns = (slice(half - r, half + r + 1) for half, r in zip(padding, reach, strict=True))
    wide = F.pad(heard, (added[1], added[1], added[0], added[0])) if any(added) else heard
    rest = [r - a for r, a in zip(reach, added, strict=True)]
    return F.conv2d(wide, weight[:, :, rows, columns], bias, stride, rest, groups=len(weight))
