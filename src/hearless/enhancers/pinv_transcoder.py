"""PINV transcoder: third-octave levels → Mel features by a pseudo-inverse; nothing is learned (paper 003 §3.2, Fig. 1).

What differs from the published code: the 2,049-bin spectrum never exists.  Pseudo-inverse, window compensation and Mel
weights fold to one matrix over the 29 bands (`hearless.enhancers._folding`); it commutes with the interpolation over
time, so the result is the same.  Levels longer than a second are interpolated as a whole, not second by second.

Targets: ``"pann"`` and ``"yamnet"`` as published.  *Quirk kept*: the true YAMNet features are of the magnitude, this
path takes no square root.  ``"mn04"`` is ours by the same rules: window compensation from its 800-sample window (the
published one, for windows of 1,024 and 512, is by a tone's peak bin), pre-emphasis as a power response in Hz.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn

from hearless.dsp.octave_bands import BANDS, bands_of, interval_of
from hearless.enhancers._folding import by_second, folded, require_target
from hearless.enhancers._sounding import mel_axes, sounded
from hearless.interfaces import Axes, HearlessError

EXAMPLE: dict[str, Any] = {"target": "pann"}

EXAMPLE_SHAPE: tuple[int, int] = (29, 8)
"""Bands and frames that the example takes, for the contract tests."""


class PINVTranscoder(nn.Module):
    """Levels ``[batch, 1, 29, frame]`` in dB → Mel features ``[batch, 1, band, frame]`` of a classifier.

    One second becomes 101 frames of 64 bands (``"pann"``), 96 of 64 (``"yamnet"``) or 100 of 128 (``"mn04"``); ``n``
    seconds ``100 n + 1``, ``96 n`` or ``100 n`` frames.

    Args:
        target: whose features: ``"pann"``, ``"yamnet"`` or ``"mn04"``.
        interval: of the levels, ``"fast"`` (125 ms) or ``"slow"`` (1 s).
        bands: how the levels shared out the bins, ``"published"`` or ``"iec61260"``.
        octaves: bands of the levels, ``"1/3"`` or ``"1/1"``.
        seconds_apart: transcode every second by itself, as paper 003's code does; False: a log as a whole.

    Raises:
        HearlessError: an unknown target, interval or kind of bands.
    """

    ADDED_LATER: tuple[str, ...] = ("octaves", "seconds_apart")

    def __init__(
        self, *, target: str = "pann", interval: str = "fast", bands: str = "published", octaves: str = "1/3",
        seconds_apart: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if bands not in BANDS:
            raise HearlessError(f"PINVTranscoder: bands must be one of {', '.join(BANDS)}, got {bands!r}.")
        self._name, self.target = target, require_target(target, "PINVTranscoder")
        self._levels_per_s = interval_of(interval, "PINVTranscoder").rate_hz
        self.n_bands = self.target.n_bands
        self._n_levels, self._apart = len(bands_of(octaves, "PINVTranscoder")), seconds_apart
        self._exact = folded(target, interval, bands, octaves)
        self.register_buffer("matrix", self._exact.float(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Transcode levels ``[batch, 1, 29, frame]``.

        Raises:
            HearlessError: another number of bands, or no frames.
        """
        return self.in_seconds(self._transcode, features) if self._apart else self._transcode(features)

    def in_seconds(self, transcode: Callable[[Tensor], Tensor], levels: Tensor) -> Tensor:
        """Return what ``transcode`` makes of levels second by second, put behind one another."""
        self._check(levels)
        return by_second(transcode, levels, self._levels_per_s, self.target.last_frame)

    def _transcode(self, features: Tensor) -> Tensor:
        return self.filled_in(self.mel(features))

    def mel(self, features: Tensor) -> Tensor:
        """Return the Mel power ``[batch, band, frame]`` at the frames of the levels, before any time is filled in.

        Raises:
            HearlessError: as `forward`.
        """
        self._check(features)
        matrix = self.get_buffer("matrix") if features.dtype == torch.float32 else self._exact.to(features)
        return matrix @ (10.0 ** (features[:, 0] / 10.0))

    def filled_in(self, mel: Tensor) -> Tensor:
        """Return features ``[batch, 1, band, frame]`` of `mel`, straight lines between its frames."""
        n_frames = self.target.n_frames(mel.shape[2], self._levels_per_s)
        return self.target.log(nn.functional.interpolate(mel, size=n_frames, mode="linear")).unsqueeze(1)

    def _check(self, features: Tensor) -> None:
        if features.ndim != 4 or features.shape[1:3] != (1, self._n_levels) or features.shape[3] < 1:
            raise HearlessError(
                f"PINVTranscoder: levels must be [batch, 1, band, frame], got {list(features.shape)}; give the "
                f"{self._n_levels} bands and one frame or more of the frontend BandLevels."
            )

    @property
    def parts(self) -> int:
        """The most Mel frames that begin within one frame of levels."""
        return math.ceil(self.target.n_frames(self._levels_per_s, self._levels_per_s) / self._levels_per_s)

    def axes(self, n_frames: int) -> Axes:
        """Say where so many Mel frames lie."""
        return mel_axes(self._name, n_frames)

    def sound(self, features: Tensor, generator: Generator) -> tuple[Tensor, int]:
        """Return samples ``[batch, time]`` of Mel features that it made, and their rate in Hz; see `_sounding`.

        Raises:
            HearlessError: another number of bands, or values that are no sound's.
        """
        return sounded(features, self._name, generator, learned=False)
