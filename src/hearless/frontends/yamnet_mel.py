"""YAMNet's log-Mel (Plakal and Ellis, TensorFlow models, 2020).

16 kHz, periodic Hann of 25 ms at the frame's beginning, hop 10 ms, 512-point FFT, magnitude (not power), 64 HTK Mel
bands from 125 to 7,500 Hz as TensorFlow makes them (triangles linear in Mel, peak 1: Kaldi's), ``ln(mel + 0.001)``.

What differs from the published code: features stay whole, ``YAMNet`` cuts them into its patches of 96 frames; the end
is filled up with zeros to one frame each 10 ms (1 s: 100 frames, of which the first 96 are the first patch, as
published), not to a whole patch, so that no clip's last patch is silence; and an input of any rate, resampled first.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hearless.dsp.filterbanks import kaldi_centres, kaldi_weights
from hearless.dsp.resample import resample, resampled_length
from hearless.interfaces import Axes, HearlessError

EXAMPLE: dict[str, Any] = {"input_rate_hz": 16000}

RATE_HZ = 16000
WINDOW, HOP, N_FFT = 400, 160, 512
N_BANDS = 64
LAYOUT = (N_BANDS, 125.0, 7500.0)
OFFSET = 0.001


class YAMNetMel(nn.Module):
    """Samples ``[batch, time]`` → log-Mel ``[batch, 1, 64, frame]``; silence lies at ln 0.001 = -6.9078.

    Args:
        input_rate_hz: rate of the samples; another than 16 kHz is resampled to it.
        patched: keep 96 of every 100 frames' worth only, as many as paper 003's transcoder makes of the same seconds
            (1 s: the published first patch).

    Raises:
        HearlessError: a rate below 250 Hz.
    """

    ADDED_LATER = ("patched",)

    def __init__(self, *, input_rate_hz: int = 16000, patched: bool = False) -> None:
        super().__init__()
        if input_rate_hz < 250:
            raise HearlessError(
                f"YAMNetMel: input_rate_hz must be at least 250, got {input_rate_hz}; its own is 16000."
            )
        self.input_rate_hz, self.patched = input_rate_hz, patched
        self.n_bands = N_BANDS
        bin_hz = tuple(k * RATE_HZ / N_FFT for k in range(N_FFT // 2 + 1))
        self._exact = {
            "window": torch.hann_window(WINDOW, dtype=torch.float64),
            "mel": kaldi_weights(bin_hz, *LAYOUT).T.contiguous(),
        }
        for name, table in self._exact.items():
            self.register_buffer(name, table.float(), persistent=False)

    def forward(self, observation: Tensor) -> Tensor:
        """Return log-Mel ``[batch, 1, 64, frame]``, a frame each 10 ms.

        Raises:
            HearlessError: not floating-point samples ``[batch, time]``, or fewer than 10 ms.
        """
        if observation.ndim != 2 or not observation.is_floating_point():
            raise HearlessError(
                f"YAMNetMel: the observation must be floating-point samples [batch, time], got {observation.dtype} of "
                f"shape {tuple(observation.shape)}; add a batch axis or scale integers to -1…1."
            )
        if self._n_frames(observation.shape[-1]) < 1:
            raise HearlessError(
                f"YAMNetMel: the observation must last 10 ms at least, got {observation.shape[-1]} samples at "
                f"{self.input_rate_hz} Hz; pad the clip with silence or drop it."
            )
        samples = resample(observation, self.input_rate_hz, RATE_HZ)
        frames = nn.functional.pad(samples, (0, WINDOW - HOP)).unfold(-1, WINDOW, HOP)
        frames = frames[:, : self._n_frames(observation.shape[-1])]
        spectrum = torch.fft.rfft(frames * self._table("window", samples), N_FFT)
        return torch.log(self._table("mel", samples) @ spectrum.abs().mT + OFFSET).unsqueeze(1)

    def axes(self, n_samples: int) -> Axes:
        """Say where the features of ``n_samples`` lie."""
        return Axes(kaldi_centres(*LAYOUT), HOP / RATE_HZ, self._n_frames(n_samples))

    def _n_frames(self, n_samples: int) -> int:
        whole = resampled_length(n_samples, self.input_rate_hz, RATE_HZ) // HOP
        return whole * 96 // 100 if self.patched else whole

    def _table(self, name: str, like: Tensor) -> Tensor:
        """Return a table for samples ``like``: the buffer for float32, else cast from what was computed in float64."""
        return (self.get_buffer(name) if like.dtype == torch.float32 else self._exact[name]).to(like)
