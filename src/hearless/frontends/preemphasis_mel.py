"""Pre-emphasised log-Mel of EfficientAT's mn04, PaSST, CP-ResNet and DS-FlexiNet: one front end, other settings.

Schmid et al. 2023 (EfficientAT), paper 004.  Pre-emphasis ``x[i + 1] - 0.97 x[i]`` at 32 kHz, plain Hann, centred
frames with reflected edges, power, Kaldi Mel bands from 0 Hz, ``(ln(mel + 1e-5) + 4.5) / 5``.

* mn04, PaSST (the defaults): window 25 ms, hop 10 ms, bins 1 / 32 ms apart, 128 bands up to 15 kHz.
* DS-FlexiNet: ``window_ms=96, hop_ms=15.625, fft_ms=128, mel_bands=256, high_hz=15500``; CP-ResNet: 23.4375 ms hop.

In training the published code draws another upper edge for each batch (DCASE23: 15,500 ± 500 Hz): ``forward`` takes it
as ``high_hz``.  What differs from that code: an input of any rate; the pre-emphasis keeps its response in Hz.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from hearless.dsp.filterbanks import kaldi_centres, kaldi_weights
from hearless.dsp.mel_power import MelPower
from hearless.dsp.spectra import Analysis
from hearless.interfaces import Axes, HearlessError

EXAMPLE: dict[str, Any] = {"input_rate_hz": 1000}

PRE_EMPHASIS = 0.97
FLOOR = (math.log(1e-5) + 4.5) / 5.0
MASK_VALUE = 4.5 / 5.0
"""What a logarithm of 0, before the offset and the scale, is after them."""


class PreEmphasisMel(nn.Module):
    """Samples ``[batch, time]`` → normalised log-Mel ``[batch, 1, band, frame]``.

    Args:
        input_rate_hz: rate of the samples, at least 250 Hz.
        reference_rate_hz: rate at which the front end was published; the pre-emphasis is one of its samples.
        path: ``"native"`` (straight from the samples) or ``"upsample"`` (to the reference rate first).
        bands: keep the lowest so many of the ``mel_bands`` only; None keeps all.
        window_ms: length of the Hann window.
        hop_ms: time between frames.
        fft_ms: one over the distance between bins.
        mel_bands: bands of the whole Mel axis.
        high_hz: its upper edge.

    Raises:
        HearlessError: a value out of range, or a time that is no whole number of samples at the reference rate.
    """

    def __init__(
        self,
        *,
        input_rate_hz: int = 32000,
        reference_rate_hz: int = 32000,
        path: str = "native",
        bands: int | None = None,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        fft_ms: float = 32.0,
        mel_bands: int = 128,
        high_hz: float = 15000.0,
    ) -> None:
        super().__init__()
        if bands is not None and not 1 <= bands <= mel_bands:
            raise HearlessError(f"PreEmphasisMel: bands must lie between 1 and {mel_bands}, got {bands}.")
        if not 0.0 < high_hz <= reference_rate_hz / 2.0:
            raise HearlessError(
                f"PreEmphasisMel: high_hz must lie above 0 and not above half of reference_rate_hz="
                f"{reference_rate_hz}, got {high_hz:g}."
            )
        self.input_rate_hz = input_rate_hz
        self.n_bands = bands or mel_bands
        layout = (mel_bands, 0.0, high_hz)
        self.mel_bands, self.highest_hz = mel_bands, reference_rate_hz / 2.0
        self.band_hz = kaldi_centres(*layout)[: self.n_bands]
        self.mel_power = MelPower(
            Analysis(reference_rate_hz, window_ms, hop_ms, fft_ms, PRE_EMPHASIS),
            lambda bin_hz: kaldi_weights(bin_hz, *layout)[:, : self.n_bands],
            input_rate_hz=input_rate_hz,
            path=path,
        )

    def forward(self, observation: Tensor, high_hz: float | None = None) -> Tensor:
        """Return features ``[batch, 1, band, frame]``; bands above the input's Nyquist lie at the floor, -1.4026.

        Args:
            observation: samples ``[batch, time]``.
            high_hz: another upper edge of the Mel axis, for this call alone (jitter in training); ``axes`` keep theirs.

        Raises:
            HearlessError: fewer samples than half an FFT, or an edge that is not above 0 or above half the reference
                rate.
        """
        weights = None if high_hz is None else self._weights(high_hz)
        level = (torch.log(self.mel_power(observation, weights) + 1e-5) + 4.5) / 5.0
        missing = self.n_bands - level.shape[-2]
        return torch.nn.functional.pad(level, (0, 0, 0, missing), value=FLOOR).unsqueeze(1)

    def _weights(self, high_hz: float) -> Tensor:
        """Return Mel weights up to another edge; they are not kept, for every step draws its own."""
        if not 0.0 < high_hz <= self.highest_hz:
            raise HearlessError(
                f"PreEmphasisMel: high_hz must lie above 0 and not above {self.highest_hz:g}, got {high_hz:g}."
            )
        every: Tensor = kaldi_weights.__wrapped__(self.mel_power.bin_hz, self.mel_bands, 0.0, high_hz)
        return every[:, : self.mel_power.n_audible]

    def axes(self, n_samples: int) -> Axes:
        """Say where the features of ``n_samples`` lie."""
        n_frames = self.mel_power.n_frames(n_samples)
        return Axes(self.band_hz, self.mel_power.analysis.hop_ms / 1000.0, n_frames, MASK_VALUE)
