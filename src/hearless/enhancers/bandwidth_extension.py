"""Bandwidth extension: guesses the Mel bands that a low-rate sensor does not hear from those it does.

What an attacker would put before a classifier of full-band speech, in the spirit of Li et al., "Real-time speech
frequency bandwidth extension" (ICASSP 2021), which paper 000 names; no published code is followed.  Ours works on the
Mel axis, where low-rate features (native path) are the lowest bands of the full ones: dilated convolutions over time,
bands as channels, each clip by itself, and what was heard added again: ``features + network(features)``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hearless.interfaces import HearlessError

EXAMPLE: dict[str, Any] = {"heard_bands": 8, "n_bands": 12, "channels": 6, "blocks": 2}

EXAMPLE_SHAPE: tuple[int, int] = (8, 20)
"""Bands and frames that the example takes, for the contract tests."""

KERNEL = 5
"""Frames that each convolution sees."""


class BandwidthExtension(nn.Module):
    """Features ``[batch, 1, heard_bands, frame]`` → ``[batch, 1, n_bands, frame]`` on the same Mel axis, learned.

    Args:
        heard_bands: bands of the low-rate features, the lowest of the full ones.
        n_bands: bands of the full features.
        channels: of the inner layers.
        blocks: residual convolutions, each looking twice as far to both sides as the one before.

    Raises:
        HearlessError: fewer full bands than heard ones, or a size below 1.
    """

    def __init__(self, *, heard_bands: int = 24, n_bands: int = 128, channels: int = 128, blocks: int = 4) -> None:
        super().__init__()
        if not 1 <= heard_bands <= n_bands:
            raise HearlessError(
                f"BandwidthExtension: heard_bands must lie in 1..n_bands, got {heard_bands} of {n_bands}; heard_bands "
                "are what the low-rate front end gives."
            )
        if min(channels, blocks) < 1:
            raise HearlessError(
                f"BandwidthExtension: channels and blocks must be at least 1, got {channels} and {blocks}; try 128, 4."
            )
        self.heard_bands, self.n_bands = heard_bands, n_bands
        self.first = nn.Sequential(_over_time(heard_bands, channels), nn.ReLU())
        self.blocks = nn.ModuleList(
            nn.Sequential(_over_time(channels, channels, 2**i), nn.ReLU()) for i in range(blocks)
        )
        self.last = nn.Conv1d(channels, n_bands, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Extend features ``[batch, 1, heard_bands, frame]``.

        Raises:
            HearlessError: another number of bands, or no frames.
        """
        if features.ndim != 4 or features.shape[1:3] != (1, self.heard_bands) or features.shape[3] < 1:
            raise HearlessError(
                f"BandwidthExtension: features must be [batch, 1, band, frame], got shape {tuple(features.shape)} for "
                f"{self.heard_bands} bands; set heard_bands to those of the frontend."
            )
        heard = features[:, 0]
        x = self.first(heard)
        for block in self.blocks:
            x = x + block(x)
        known = nn.functional.pad(heard, (0, 0, 0, self.n_bands - self.heard_bands))
        return torch.unsqueeze(known + self.last(x), 1)


def _over_time(channels: int, made: int, dilation: int = 1) -> nn.Conv1d:
    """Return a convolution over frames that keeps their number; beyond the ends the features are zero."""
    return nn.Conv1d(channels, made, KERNEL, padding=dilation * (KERNEL // 2), dilation=dilation)
