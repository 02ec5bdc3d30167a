"""Kaldi's log-Mel filter bank as AST hears it: paper 002's front end, for its teacher and its students.

Gong, Chung, Glass, "AST: audio spectrogram transformer" (Interspeech 2021): 16 kHz, the clip's mean removed, frames of
25 ms every 10 ms without padding, each less its mean, pre-emphasis 0.97, symmetric Hann, 512-point power spectrum, 128
Kaldi Mel bands from 20 Hz to Nyquist, natural logarithm, no dither; frames of zeros behind or cut to a fixed number;
then ``(x - mean) / (2 deviation)`` with the data set's own statistics (`STATISTICS`).

What differs from the published code: batches, and an input of another rate is resampled first.  The statistics are
those of samples within ±1; sound is not scaled to 16-bit integers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hearless.dsp.filterbanks import kaldi_centres, kaldi_weights
from hearless.dsp.resample import resample, resampled_length
from hearless.interfaces import Axes, HearlessError

EXAMPLE: dict[str, Any] = {"frames": 200}

RATE_HZ, WINDOW, HOP, FFT = 16000, 400, 160, 512
PRE_EMPHASIS = 0.97
LOW_HZ, HIGH_HZ = 20.0, RATE_HZ / 2.0
FLOOR = torch.finfo(torch.float32).eps
"""Least power in a band; its logarithm is -15.94."""

STATISTICS = {
    "audioset": (-4.2677393, 4.5689974),
    "esc50": (-6.6268077, 5.358466),
    "speech_commands_v2": (-6.845978, 5.5654526),
}
"""Mean and deviation of the log-Mel power of AST's training sets."""


def hanning() -> Tensor:
    """Return Kaldi's window, a Hann that is 0 at both ends: float64 ``[WINDOW]``."""
    return torch.hann_window(WINDOW, periodic=False, dtype=torch.float64)


def frame_power(waveform: Tensor, window: Tensor, frames: int | None = None) -> Tensor:
    """Return the power spectra of Kaldi's frames: whole frames only, no padding ("snip edges").

    A frame's mean comes off before its pre-emphasis, of which it leaves ``1 - c``.  Its first sample, which has no
    neighbour, meets the window's 0.

    Args:
        waveform: ``[batch, time]`` at ``RATE_HZ``, at least ``WINDOW`` samples.
        window: ``[WINDOW]``.
        frames: at most so many; None takes all.

    Returns:
        ``[batch, frame, FFT / 2 + 1]``.
    """
    heard = waveform.unfold(-1, WINDOW, HOP)[:, :frames]
    emphasised = torch.nn.functional.pad(waveform[:, 1:] - PRE_EMPHASIS * waveform[:, :-1], (1, 0))
    rest = (1.0 - PRE_EMPHASIS) * heard.mean(-1, keepdim=True)
    spectra = torch.fft.rfft((emphasised.unfold(-1, WINDOW, HOP)[:, :frames] - rest) * window, n=FFT)
    return torch.view_as_real(spectra).square().sum(-1)


class KaldiFbank(nn.Module):
    """Samples ``[batch, time]`` → normalised log-Mel ``[batch, 1, band, frame]``.

    Args:
        input_rate_hz: rate of the samples; one other than 16 kHz is resampled.
        frames: pad or cut to so many frames (paper 002: 512 for ESC-50, 128 for Speech Commands); None: as they come.
        mean: mean of the data set's log-Mel power; AudioSet's unless given.
        deviation: its standard deviation.
        mel_bands: number of bands.

    Attributes:
        mask_value: what AST's masks of 0, set before normalisation, are after it (and frames of padding too).

    Raises:
        HearlessError: a rate, a number of frames or of bands below 1, or a deviation that is not above 0.
    """

    def __init__(
        self,
        *,
        input_rate_hz: int = RATE_HZ,
        frames: int | None = None,
        mean: float = STATISTICS["audioset"][0],
        deviation: float = STATISTICS["audioset"][1],
        mel_bands: int = 128,
    ) -> None:
        super().__init__()
        _require(input_rate_hz >= 1, "input_rate_hz", "be at least 1", input_rate_hz)
        _require(frames is None or frames >= 1, "frames", "be at least 1, or None", frames)
        _require(0.0 < deviation < float("inf"), "deviation", "be above 0 and finite", deviation)
        _require(abs(mean) < float("inf"), "mean", "be finite", mean)
        self.input_rate_hz, self.frames, self.n_bands = input_rate_hz, frames, mel_bands
        self.mean, self.deviation = mean, deviation
        self.mask_value = -mean / (2.0 * deviation)
        self.band_hz = kaldi_centres(mel_bands, LOW_HZ, HIGH_HZ)
        bin_hz = tuple(k * RATE_HZ / FFT for k in range(FFT // 2 + 1))
        self._exact = hanning(), kaldi_weights(bin_hz, mel_bands, LOW_HZ, HIGH_HZ)
        self.register_buffer("window", self._exact[0].float(), persistent=False)
        self.register_buffer("mel", self._exact[1].float(), persistent=False)

    def forward(self, observation: Tensor) -> Tensor:
        """Return features ``[batch, 1, band, frame]``.

        Raises:
            HearlessError: not floating-point samples ``[batch, time]``, or fewer than a window.
        """
        if observation.ndim != 2 or not observation.is_floating_point():
            raise HearlessError(
                f"a front end takes floating-point samples [batch, time], got {observation.dtype} of shape "
                f"{tuple(observation.shape)}; add a batch axis or scale integers to -1…1."
            )
        if self._whole_frames(observation.shape[-1]) < 1:
            raise HearlessError(
                f"KaldiFbank: a clip must hold a window of 25 ms, got {observation.shape[-1]} samples at "
                f"{self.input_rate_hz} Hz; pad the clip with silence or drop it."
            )
        level = self._level(resample(observation, self.input_rate_hz, RATE_HZ))
        padded = level
        if self.frames:  # a length that an export of free clip lengths knows as a number, for all that comes behind
            padded = torch.nn.functional.pad(level, (0, self.frames))[..., : self.frames]
        return ((padded - self.mean) / (2.0 * self.deviation)).unsqueeze(1)

    def axes(self, n_samples: int) -> Axes:
        """Say where the features of ``n_samples`` lie; frames of padding count."""
        return Axes(self.band_hz, HOP / RATE_HZ, self.frames or self._whole_frames(n_samples), self.mask_value)

    def _whole_frames(self, n_samples: int) -> int:
        return max(0, (resampled_length(n_samples, self.input_rate_hz, RATE_HZ) - WINDOW) // HOP + 1)

    def _level(self, waveform: Tensor) -> Tensor:
        """Return the log-Mel power ``[batch, band, frame]``, before padding and normalisation."""
        single = waveform.dtype == torch.float32
        window, mel = (
            (self.get_buffer("window"), self.get_buffer("mel"))
            if single
            else (table.to(waveform) for table in self._exact)
        )
        power = frame_power(waveform - waveform.mean(-1, keepdim=True), window, self.frames)
        return (power @ mel).clamp(min=FLOOR).log().mT


def _require(holds: bool, name: str, rule: str, value: float | None) -> None:
    if not holds:
        raise HearlessError(f"KaldiFbank: {name} must {rule}, got {value}.")
