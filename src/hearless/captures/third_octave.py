"""Third-octave levels: the sensor writes 29 numbers every 125 ms or every second, and no sound.

Paper 003 §3.1 and its published code (the Cense sensors' computation): 32 kHz, frames of 4,096 samples every 4,000
(slow: 32,976 every 32,000), the end filled up with zeros; level = 20 log10(rms) + 26 dB.  The paper's Table 1 says
rectangular window; its code multiplies by a Tukey window (taper 0.2) and divides its energy out again: so here.
What differs: ``bands="iec61260"`` splits bins at the band edges, as a real meter's filters do, instead of giving
whole ones to both neighbours; all frames are transformed at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hearless.dsp.octave_bands import FLOOR_RMS, OFFSET_DB, RATE_HZ, band_weights, bands_of, interval_of, tukey
from hearless.dsp.resample import resample
from hearless.interfaces import HearlessError

EXAMPLE: dict[str, Any] = {"interval": "fast"}

CACHED_VALUES = 2**18
"""Samples transformed at once on a CPU: what is computed from them then stays in its cache."""


class ThirdOctave(nn.Module):
    """Waveform → levels ``[batch, band, frame]`` in dB: 29 bands, 20 Hz to 12.5 kHz, or ten octaves from 31.5 Hz.

    The observation is levels, so ``rate_hz`` is levels per second (8 fast, 1 slow).  A band in which there is nothing
    at all lies at -154 dB; bands above the recording's own Nyquist frequency hold only what the resampler leaves.

    Args:
        interval: ``"fast"`` (125 ms) or ``"slow"`` (1 s).
        bands: ``"published"`` (paper 003's whole bins) or ``"iec61260"`` (bins split at the edges).
        octaves: ``"1/3"``, or ``"1/1"``: ten octave bands, 31.5 Hz to 16 kHz (that one as far as 16 kHz).
        misread_hz: a slip of paper 003's code, for tables that repeat it: the sound is resampled to this rate, its
            samples are taken for 32 kHz ones and filled up with silence to whole seconds of those; 0: not.

    Raises:
        HearlessError: an unknown interval or kind of bands, or a rate below 0.
    """

    ADDED_LATER: tuple[str, ...] = ("octaves", "misread_hz")

    def __init__(
        self, *, interval: str = "fast", bands: str = "published", octaves: str = "1/3", misread_hz: int = 0
    ) -> None:
        super().__init__()
        if misread_hz < 0:
            raise HearlessError(f"ThirdOctave: misread_hz must be 0 or more, got {misread_hz}; the slip's is 16000.")
        bands_of(octaves, "ThirdOctave")
        self.octaves, self._misread_hz = octaves, misread_hz
        self._interval = interval_of(interval, "ThirdOctave")
        frame = self._interval.frame
        self.rate_hz = self._interval.rate_hz
        self.source_rate_hz = RATE_HZ
        self.minimum_rate_hz = 1
        window = tukey(frame)
        shares = band_weights(bands, frame, octaves) * (2.0 / frame**2 / window.square().mean())
        last = int(shares.any(dim=1).nonzero().max())
        self._exact = {"window": window, "shares": shares[: last + 1]}
        for name, table in self._exact.items():
            self.register_buffer(name, table.float(), persistent=False)

    def forward(self, waveform: Tensor, rate_hz: int, devices: Sequence[str | None] = ()) -> Tensor:
        """Measure the levels of ``[batch, time]`` at ``rate_hz``; ``devices`` make no difference.

        Returns:
            ``[batch, 29, frame]`` (of octaves ``[batch, 10, frame]``) in dB, one frame at least.

        Raises:
            HearlessError: not floating-point samples ``[batch, time]``.
        """
        if waveform.ndim != 2 or not waveform.is_floating_point():
            raise HearlessError(
                f"ThirdOctave: the waveform must be floating-point samples [batch, time], got {waveform.dtype} of "
                f"shape {tuple(waveform.shape)}; add a batch axis or scale integers to -1…1."
            )
        samples = resample(waveform, rate_hz, self._misread_hz or RATE_HZ)
        if self._misread_hz:
            samples = nn.functional.pad(samples, (0, -samples.shape[1] % RATE_HZ))
        power = torch.cat([self._band_power(frames) for frames in self._frames(samples)], dim=1)
        level = 10.0 * torch.where(power > 0.0, power, FLOOR_RMS**2).log10() + OFFSET_DB
        return level.mT.contiguous()

    def _frames(self, samples: Tensor) -> list[Tensor]:
        """Return views of the whole frames ``[batch, frame, sample]`` and, if any, the last one filled up with zeros.

        The samples themselves are not copied: that alone took a third of the time.
        """
        size, hop, n_samples = self._interval.frame, self._interval.hop, samples.shape[-1]
        whole = [samples.unfold(-1, size, hop)] if n_samples >= size else []
        n_whole = whole[0].shape[1] if whole else 0
        if n_whole == self._interval.n_frames(n_samples):
            return whole
        rest = samples[:, n_whole * hop :]
        return [*whole, nn.functional.pad(rest, (0, size - rest.shape[1])).unsqueeze(1)]

    def _band_power(self, frames: Tensor) -> Tensor:
        """Return the mean square in each band of frames ``[batch, frame, sample]``: ``[batch, frame, band]``."""
        if frames.device.type != "cpu":
            return self._run_power(frames)
        n_rows = max(1, CACHED_VALUES // self._interval.frame)
        runs = [
            torch.cat([self._run_power(run) for run in torch.split(clips, n_rows, dim=1)], dim=1)
            for clips in torch.split(frames, max(1, n_rows // frames.shape[1]))
        ]
        return torch.cat(runs)

    def _run_power(self, frames: Tensor) -> Tensor:
        shares = self._table("shares", frames)
        spectrum = torch.fft.rfft(frames * self._table("window", frames))[..., : shares.shape[0]]
        power: Tensor = (spectrum.real.square() + spectrum.imag.square()) @ shares
        return power

    def _table(self, name: str, like: Tensor) -> Tensor:
        """Return a table for samples ``like``: the buffer for float32, else cast from what was computed in float64."""
        return (self.get_buffer(name) if like.dtype == torch.float32 else self._exact[name]).to(like)
