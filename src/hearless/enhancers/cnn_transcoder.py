"""CNN transcoder: what the pseudo-inverse blurs, a small convolutional network sharpens (paper 003 §3.2, Fig. 2).

``PINV - CNN(PINV)``: five layers of 64 channels, kernels of 3 frames by 5 Mel bands, edges replicated, ReLU between.
186,497 parameters, as in the released weights, whose names (``mod_conv.1`` … ``mod_conv.13``) these are; the paper
prints 192,961, which no choice of kernel and layers gives.
"""

from __future__ import annotations

import itertools
from typing import Any

from torch import Generator, Tensor, nn

from hearless.enhancers._sounding import mel_axes, sounded
from hearless.enhancers.pinv_transcoder import PINVTranscoder
from hearless.interfaces import Axes, HearlessError

EXAMPLE: dict[str, Any] = {"target": "pann", "channels": 4, "layers": 3}

EXAMPLE_SHAPE: tuple[int, int] = (29, 8)
"""Bands and frames that the example takes, for the contract tests."""


class CNNTranscoder(nn.Module):
    """Levels ``[batch, 1, 29, frame]`` in dB → Mel features ``[batch, 1, band, frame]``, learned.

    Args:
        target: whose features: ``"pann"``, ``"yamnet"`` or ``"mn04"``.
        interval: of the levels, ``"fast"`` or ``"slow"``.
        bands: how the levels shared out the bins, ``"published"`` or ``"iec61260"``.
        channels: of the inner layers.
        layers: convolutions, at least two.
        kernel_frames: odd length of a kernel over time.
        kernel_bands: odd length of a kernel over Mel bands.
        dilation: distance between a kernel's taps.
        octaves: bands of the levels, ``"1/3"`` or ``"1/1"``.
        seconds_apart: transcode every second by itself, as paper 003's code does; False: a log as a whole.

    Raises:
        HearlessError: an unknown target, interval or kind of bands, or a size out of range.
    """

    ADDED_LATER: tuple[str, ...] = ("octaves", "seconds_apart")

    def __init__(
        self,
        *,
        target: str = "pann",
        interval: str = "fast",
        bands: str = "published",
        channels: int = 64,
        layers: int = 5,
        kernel_frames: int = 3,
        kernel_bands: int = 5,
        dilation: int = 1,
        octaves: str = "1/3",
        seconds_apart: bool = False,
    ) -> None:
        super().__init__()
        _check(channels, layers, kernel_frames, kernel_bands, dilation)
        self.pinv = PINVTranscoder(target=target, interval=interval, bands=bands, octaves=octaves)
        self._apart = seconds_apart
        self._name, self.n_bands = target, self.pinv.n_bands
        widths = [1, *([channels] * (layers - 1)), 1]
        kernel = (kernel_frames, kernel_bands)
        reach = [dilation * (size // 2) for size in kernel]
        parts: list[nn.Module] = []
        for into, out in itertools.pairwise(widths):
            parts.append(nn.ReplicationPad2d((reach[1], reach[1], reach[0], reach[0])))
            parts.append(nn.Conv2d(into, out, kernel, dilation=dilation))
            parts.append(nn.ReLU())
        self.mod_conv = nn.Sequential(*parts[:-1])

    def forward(self, features: Tensor) -> Tensor:
        """Transcode levels ``[batch, 1, 29, frame]``.

        Raises:
            HearlessError: another number of bands, or no frames.
        """
        return self.pinv.in_seconds(self._transcode, features) if self._apart else self._transcode(features)

    def _transcode(self, features: Tensor) -> Tensor:
        rough: Tensor = self.pinv(features)
        residual: Tensor = self.mod_conv(rough.mT).mT
        return rough - residual

    def axes(self, n_frames: int) -> Axes:
        """Say where so many Mel frames lie."""
        return mel_axes(self._name, n_frames)

    def sound(self, features: Tensor, generator: Generator) -> tuple[Tensor, int]:
        """Return samples ``[batch, time]`` of Mel features that it made, and their rate in Hz; see `_sounding`.

        Raises:
            HearlessError: another number of bands, or values that are no sound's.
        """
        return sounded(features, self._name, generator, learned=True)


def _check(channels: int, layers: int, kernel_frames: int, kernel_bands: int, dilation: int) -> None:
    if channels < 1 or layers < 2 or dilation < 1:
        raise HearlessError(
            f"CNNTranscoder: channels and dilation must be at least 1 and layers at least 2, got channels={channels}, "
            f"dilation={dilation}, layers={layers}; the paper's are 64, 1 and 5."
        )
    if kernel_frames < 1 or kernel_bands < 1 or kernel_frames % 2 == 0 or kernel_bands % 2 == 0:
        raise HearlessError(
            f"CNNTranscoder: kernel_frames and kernel_bands must be odd and at least 1, got {kernel_frames} and "
            f"{kernel_bands}; the paper's are 3 and 5."
        )
