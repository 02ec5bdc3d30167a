"""TensorFlow's "SAME" padding, which depends on the size: where one side needs more, the later one gets it."""

from __future__ import annotations

from torch import Tensor, nn


def pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Pad ``[batch, channel, height, width]`` so that a convolution returns its size over the stride, rounded up.

    With an odd kernel and stride 2 an even axis is padded more at its end.
    """
    missing = [max(0, (-(-n // stride) - 1) * stride + kernel - n) for n in x.shape[2:]]
    pads = [pad for n in reversed(missing) for pad in (n // 2, n - n // 2)]
    return nn.functional.pad(x, pads) if any(pads) else x


class SamePad(nn.Module):
    """`pad_same` as a module, to stand before a convolution."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self._kernel, self._stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """Pad ``[batch, channel, height, width]``."""
        return pad_same(x, self._kernel, self._stride)
