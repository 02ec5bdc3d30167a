"""The time-frequency enhancer TFE(n) of paper 002: a learned mask on the spectrogram, from its two axes alone.

Each enhancer block averages its input over frequency and over time, puts either curve through two 1-D convolutions
(ReLU between, sigmoid behind) and multiplies them out: ``M = E_T ⊗ E_F``.  Block hands mask to block; only the last
one, of one channel, multiplies the original spectrogram.

The paper prints no kernel, no hidden width and no TFE(4).  Two convolutions a path (as in the TFA it builds on),
kernel 7 and 32 channels between blocks give 32, 15,378 and 72,978 parameters for 1, 2 and 4 blocks, and with a
50-class EfficientNetV2-B2 the sizes that it prints.

What differs from the literal form: between blocks only the two curves exist, for the mean of an outer product over one
axis is one curve times the other's mean; the 2-D mask is formed once, at the end.  The same numbers.  The first
convolution's bias starts at 1, not near 0: where a path has one hidden channel, its ReLU would else be shut from the
start, and the path with it, in about a quarter of all starts.

**A mask that hears nothing.**  With PyTorch's own initialisation, which a paper that says nothing presumably has, each
block passes on a fraction of what differs between two sounds: the first mask of TFE(1) differs by 7e-3 between clips
(deviation), that of TFE(2) by 5e-4, that of TFE(4) by 1e-6, and training from there leaves a constant.
``initialisation="signal"`` (ours) keeps it: weights of variance 2 / fan-in before a ReLU, of 16 / fan-in before a
sigmoid, whose slope is at most 1/4; biases 0.  The masks then differ by 6e-2, 3e-2 and 5e-3.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn

from hearless.interfaces import HearlessError

EXAMPLE: dict[str, Any] = {"n_blocks": 4, "channels": 4}

INITIALISATIONS = ("torch", "signal")

EXAMPLE_SHAPE: tuple[int, int] = (16, 20)
"""Bands and frames that the example takes, for the contract tests."""


class EnhancerBlock(nn.Module):
    """Two paths of one structure, one along time and one along frequency.

    Args:
        into: channels that enter.
        out: channels that leave (and lie between the convolutions).
        kernel_size: odd length of the kernels, in frames and in bands.
        initialisation: as in `TimeFrequencyEnhancer`.
    """

    def __init__(self, into: int, out: int, kernel_size: int, initialisation: str = "torch") -> None:
        super().__init__()
        self.time = _path(into, out, kernel_size, initialisation)
        self.frequency = _path(into, out, kernel_size, initialisation)

    def forward(self, over_frames: Tensor, over_bands: Tensor) -> tuple[Tensor, Tensor]:
        """Turn what was averaged, ``[batch, into, frame]`` and ``[batch, into, band]``, into curves within (0, 1)."""
        return self.time(over_frames), self.frequency(over_bands)


class TimeFrequencyEnhancer(nn.Module):
    """Multiply features by a mask in (0, 1), the product of a curve over time and one over frequency.

    Args:
        n_blocks: enhancer blocks; the paper has 1, 2 and 4.
        kernel_size: odd length of the kernels, in frames and in bands.
        channels: channels between blocks.
        initialisation: ``"torch"``, or ``"signal"``: what differs between sounds outlasts the blocks.

    Raises:
        HearlessError: no block, no channel, an even kernel, or an unknown initialisation.
    """

    ADDED_LATER: tuple[str, ...] = ("initialisation",)

    def __init__(
        self, *, n_blocks: int = 4, kernel_size: int = 7, channels: int = 32, initialisation: str = "torch"
    ) -> None:
        super().__init__()
        if initialisation not in INITIALISATIONS:
            raise HearlessError(
                f"TimeFrequencyEnhancer: initialisation must be one of {', '.join(INITIALISATIONS)}, "
                f"got {initialisation!r}."
            )
        _require(n_blocks >= 1, "n_blocks", "be at least 1", n_blocks, "the paper has 1, 2 and 4")
        _require(channels >= 1, "channels", "be at least 1", channels, "32 gives the paper's sizes")
        odd = kernel_size >= 1 and kernel_size % 2 == 1
        _require(odd, "kernel_size", "be odd and at least 1", kernel_size, "7 gives the paper's sizes")
        widths = [1, *[channels] * (n_blocks - 1), 1]
        self.blocks = nn.ModuleList(
            EnhancerBlock(into, out, kernel_size, initialisation) for into, out in itertools.pairwise(widths)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the enhanced features, ``[batch, 1, band, frame]`` as they came: any number of bands and frames.

        Raises:
            HearlessError: features of other axes, or empty ones.
        """
        return features * self._mask(features)

    def mask(self, features: Tensor) -> Tensor:
        """Return the mask ``[batch, 1, band, frame]`` alone, for pictures; its numbers are checked.

        Raises:
            HearlessError: features of other axes, or a mask with numbers that are not finite.
        """
        return checked_mask(self._mask(features))

    def _mask(self, features: Tensor) -> Tensor:
        if features.ndim != 4 or features.shape[1] != 1 or 0 in features.shape[2:]:
            raise HearlessError(
                f"TimeFrequencyEnhancer: features must be [batch, 1, band, frame], got {list(features.shape)}; "
                "give the output of a frontend."
            )
        over_frames, over_bands = features.mean(2), features.mean(3)
        for i, block in enumerate(self.blocks):
            if i > 0:
                over_frames, over_bands = _means(over_frames, over_bands)
            over_frames, over_bands = block(over_frames, over_bands)
        return outer(over_frames, over_bands)


def outer(over_frames: Tensor, over_bands: Tensor) -> Tensor:
    """Return the mask ``E_T ⊗ E_F`` ``[batch, channel, band, frame]`` of the two curves."""
    return over_bands[..., :, None] * over_frames[..., None, :]


def checked_mask(mask: Tensor) -> Tensor:
    """Return ``mask`` if all its numbers are finite.

    Raises:
        HearlessError: some are not; says how many.
    """
    wrong = int((~torch.isfinite(mask)).sum())
    if wrong:
        raise HearlessError(
            f"TimeFrequencyEnhancer: a mask must be finite, got {wrong} of {mask.numel()} values that are not; "
            "check the features for NaN, or train again with a lower learning rate."
        )
    return mask


def _means(over_frames: Tensor, over_bands: Tensor) -> tuple[Tensor, Tensor]:
    """Return what averaging their outer product over bands and over frames gives, without forming it."""
    return over_frames * over_bands.mean(-1, keepdim=True), over_bands * over_frames.mean(-1, keepdim=True)


def _path(into: int, out: int, kernel_size: int, initialisation: str) -> nn.Sequential:
    first, second = (nn.Conv1d(n, out, kernel_size, padding=kernel_size // 2) for n in (into, out))
    nn.init.ones_(first.get_parameter("bias"))
    if initialisation == "signal":
        for layer, gain in ((first, math.sqrt(2)), (second, 4.0)):
            nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
            nn.init.zeros_(layer.get_parameter("bias"))
    return nn.Sequential(first, nn.ReLU(), second, nn.Sigmoid())


def _require(holds: bool, name: str, rule: str, value: int, remedy: str) -> None:
    if not holds:
        raise HearlessError(f"TimeFrequencyEnhancer: {name} must {rule}, got {value}; {remedy}.")
