"""Light transcoder: our own, for boards that cannot afford the CNN transcoder's 1.2 billion multiply-adds a second.

``PINV - network``, as `CNNTranscoder`, but the network works where the levels are: at 8 frames a second, not at the Mel
spectrogram's 96 to 101, between which the pseudo-inverse only draws straight lines.  Depthwise-separable convolutions
(Howard et al. 2017) over Mel bands and level frames in residual blocks, with batch normalisation; the last layer says
for each level frame what to take off in each of the Mel frames that it stands for (a sub-pixel convolution, Shi et al.
2016).  It starts near zero: an untrained one is nearly the PINV transcoder.
"""

from __future__ import annotations

from typing import Any

from torch import Generator, Tensor, nn

from hearless.enhancers._sounding import mel_axes, sounded
from hearless.enhancers.pinv_transcoder import PINVTranscoder
from hearless.interfaces import Axes, HearlessError

EXAMPLE: dict[str, Any] = {"target": "pann", "channels": 4, "blocks": 2}

EXAMPLE_SHAPE: tuple[int, int] = (29, 8)
"""Bands and frames that the example takes, for the contract tests."""

START = 1e-3
"""What the last layer's first weights are multiplied with."""

KERNEL = (5, 3)
PAD = (1, 1, 2, 2)
WIDER = 2
"""Hidden channels of a block, as a multiple of its channels."""


class LightTranscoder(nn.Module):
    """Levels ``[batch, 1, 29, frame]`` in dB → Mel features ``[batch, 1, band, frame]``, learned.

    Args:
        target: whose features: ``"pann"``, ``"yamnet"`` or ``"mn04"``.
        interval: of the levels, ``"fast"`` or ``"slow"``.
        bands: how the levels shared out the bins, ``"published"`` or ``"iec61260"``.
        channels: of the inner layers.
        blocks: depthwise-separable blocks between the first and the last convolution.
        octaves: bands of the levels, ``"1/3"`` or ``"1/1"``.
        seconds_apart: transcode every second by itself, as paper 003's code does; False: a log as a whole.

    Raises:
        HearlessError: an unknown target, interval or kind of bands, or a size below 1.
    """

    ADDED_LATER: tuple[str, ...] = ("octaves", "seconds_apart")

    def __init__(
        self,
        *,
        target: str = "pann",
        interval: str = "fast",
        bands: str = "published",
        channels: int = 64,
        blocks: int = 4,
        octaves: str = "1/3",
        seconds_apart: bool = False,
    ) -> None:
        super().__init__()
        if channels < 1 or blocks < 1:
            raise HearlessError(
                f"LightTranscoder: channels and blocks must be at least 1, got {channels} and {blocks}; try 64 and 4."
            )
        self.pinv = PINVTranscoder(target=target, interval=interval, bands=bands, octaves=octaves)
        self._apart = seconds_apart
        self._name, self.n_bands = target, self.pinv.n_bands
        self.first = nn.Sequential(nn.ReplicationPad2d(PAD), nn.Conv2d(1, channels, KERNEL), nn.ReLU())
        self.blocks = nn.ModuleList(_block(channels) for _ in range(blocks))
        self.last = nn.Conv2d(channels, self.pinv.parts, 1)
        for parameter in self.last.parameters():
            parameter.data.mul_(START)

    def forward(self, features: Tensor) -> Tensor:
        """Transcode levels ``[batch, 1, 29, frame]``.

        Raises:
            HearlessError: another number of bands, or no frames.
        """
        return self.pinv.in_seconds(self._transcode, features) if self._apart else self._transcode(features)

    def _transcode(self, features: Tensor) -> Tensor:
        mel, target = self.pinv.mel(features), self.pinv.target
        rough = self.pinv.filled_in(mel)
        x = self.first((target.log(mel).unsqueeze(1) - target.centre) / target.spread)
        for block in self.blocks:
            x = x + block(x)
        fine = self.last(x).permute(0, 2, 3, 1).flatten(2)
        residual = nn.functional.interpolate(fine, size=rough.shape[3], mode="linear")
        return rough - target.spread * residual.unsqueeze(1)

    def axes(self, n_frames: int) -> Axes:
        """Say where so many Mel frames lie."""
        return mel_axes(self._name, n_frames)

    def sound(self, features: Tensor, generator: Generator) -> tuple[Tensor, int]:
        """Return samples ``[batch, time]`` of Mel features that it made, and their rate in Hz; see `_sounding`.

        Raises:
            HearlessError: another number of bands, or values that are no sound's.
        """
        return sounded(features, self._name, generator, learned=True)


def _block(channels: int) -> nn.Sequential:
    """Return a convolution of each channel by itself, then two layers across channels."""
    return nn.Sequential(
        nn.ReplicationPad2d(PAD),
        nn.Conv2d(channels, channels, KERNEL, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.Conv2d(channels, WIDER * channels, 1),
        nn.ReLU(),
        nn.Conv2d(WIDER * channels, channels, 1),
    )
