"""Log-Mel of PANNs (Kong et al. 2020), at its 8, 16 and 32 kHz settings; the defaults are the 16 kHz one.

Periodic Hann of 32 ms, hop 10 ms, centred frames with reflected edges, power, 64 Slaney bands from 50 Hz up,
``10 log10(max(mel, 1e-10))``: the floor is -100 dB.  What differs from the published code: a real FFT instead of
frozen convolutions, and an input of any rate (paper 000's up-sampled path, and a native one).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hearless.dsp.filterbanks import slaney_centres, slaney_weights
from hearless.dsp.mel_power import MelPower
from hearless.dsp.spectra import Analysis
from hearless.interfaces import Axes, HearlessError

EXAMPLE: dict[str, Any] = {"input_rate_hz": 1000}

N_BANDS = 64
LOW_HZ = 50.0
HIGH_HZ = {8000: 4000.0, 16000: 8000.0, 32000: 14000.0}
FLOOR_DB = -100.0


class LogMel(nn.Module):
    """Samples ``[batch, time]`` → log-Mel ``[batch, 1, band, frame]`` in dB.

    Args:
        input_rate_hz: rate of the samples, at least 250 Hz.
        reference_rate_hz: PANNs' setting: 8000, 16000 or 32000.
        path: ``"native"`` (straight from the samples) or ``"upsample"`` (to the reference rate first).
        bands: keep the lowest so many of the 64 bands only; None keeps all.

    Raises:
        HearlessError: an unknown setting.
    """

    def __init__(
        self,
        *,
        input_rate_hz: int = 16000,
        reference_rate_hz: int = 16000,
        path: str = "native",
        bands: int | None = None,
    ) -> None:
        super().__init__()
        if reference_rate_hz not in HIGH_HZ:
            known = ", ".join(map(str, HIGH_HZ))
            raise HearlessError(f"LogMel: reference_rate_hz must be one of {known}, got {reference_rate_hz}.")
        if bands is not None and not 1 <= bands <= N_BANDS:
            raise HearlessError(f"LogMel: bands must lie between 1 and {N_BANDS}, got {bands}; None keeps all.")
        self.input_rate_hz = input_rate_hz
        self.n_bands = bands or N_BANDS
        layout = (N_BANDS, LOW_HZ, HIGH_HZ[reference_rate_hz])
        self.band_hz = slaney_centres(*layout)[: self.n_bands]
        self.mel_power = MelPower(
            Analysis(reference_rate_hz, window_ms=32.0, hop_ms=10.0, fft_ms=32.0),
            lambda bin_hz: slaney_weights(bin_hz, *layout)[:, : self.n_bands],
            input_rate_hz=input_rate_hz,
            path=path,
        )

    def forward(self, observation: Tensor) -> Tensor:
        """Return log-Mel ``[batch, 1, band, frame]`` in dB; bands above the input's Nyquist lie at -100 dB.

        Raises:
            HearlessError: fewer samples than half a window.
        """
        level = 10.0 * torch.log10(self.mel_power(observation).clamp(min=1e-10))
        missing = self.n_bands - level.shape[-2]
        return torch.nn.functional.pad(level, (0, 0, 0, missing), value=FLOOR_DB).unsqueeze(1)

    def axes(self, n_samples: int) -> Axes:
        """Say where the features of ``n_samples`` lie."""
        return Axes(self.band_hz, self.mel_power.analysis.hop_ms / 1000.0, self.mel_power.n_frames(n_samples))
