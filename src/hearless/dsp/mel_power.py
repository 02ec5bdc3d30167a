"""Mel power of a published analysis, from samples of any rate: what the Mel front ends share.

Three ways to the same Mel axis:

* at the reference rate: the published short-time Fourier transform itself;
* ``path="upsample"`` (paper 000 §4.3): resampled to the reference rate, then the same;
* ``path="native"``: straight from the samples, by FFT where the reference's bins fall on one, else (and at low
  rates, where it is faster) by multiplication with the analysis atoms.  See `hearless.dsp.atoms`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hearless.dsp.atoms import atom_parts, frame_atoms
from hearless.dsp.fourier import fourier_tables
from hearless.dsp.pre_emphasis import pre_emphasis_taps, pre_emphasise
from hearless.dsp.resample import ResamplingPlan, resampling_plan, run_plan
from hearless.dsp.spectra import Analysis, fft_parts, fft_window
from hearless.interfaces import HearlessError

PATHS = ("native", "upsample")
LOWEST_RATE_HZ = 250
ATOMS_UP_TO_HZ = 4000
BANDS_PER_PRODUCT = 16
CACHED_VALUES = 2**20

Runs = list[tuple[int, int, int, int]]
"""Runs of bands (from, to) and the bins (from, to) that they reach."""


class MelPower(nn.Module):
    """Samples → power in the Mel bands that they can hear.

    Args:
        analysis: the published analysis.
        weights: gives Mel weights ``[bin, band]`` for bins in Hz.
        input_rate_hz: rate of the samples.
        path: ``"native"`` or ``"upsample"``.

    Attributes:
        n_audible: bands up to the last one that reaches below the samples' Nyquist frequency.
        bin_hz: the bins that Mel weights lie on.
    """

    def __init__(
        self, analysis: Analysis, weights: Callable[[tuple[float, ...]], Tensor], *, input_rate_hz: int, path: str
    ) -> None:
        super().__init__()
        self._exact: dict[str, Tensor] = {}
        if path not in PATHS:
            raise HearlessError(f"path must be one of {', '.join(PATHS)}, got {path!r}.")
        if input_rate_hz < LOWEST_RATE_HZ:
            raise HearlessError(f"input_rate_hz must be at least {LOWEST_RATE_HZ}, got {input_rate_hz}.")
        self.analysis = analysis
        self.input_rate_hz = input_rate_hz
        self.rate_hz = input_rate_hz if path == "native" else analysis.rate_hz
        self.plan = resampling_plan(input_rate_hz, self.rate_hz) if input_rate_hz != self.rate_hz else None
        for i, table in enumerate(self.plan.matrices if self.plan else ()):
            self._register(f"plan_{i}", table)
        self.by_fft = self._can_fft()
        bin_hz = analysis.bin_hz(self.rate_hz)
        matrix = weights(bin_hz)
        self.n_audible = _last(matrix.any(dim=0)) + 1
        if not self.by_fft:
            bin_hz = bin_hz[: _last(matrix.any(dim=1)) + 1]
        self.bin_hz = bin_hz
        mel, self.products = _laid_out(matrix[: len(bin_hz), : self.n_audible])
        self._register("mel", mel)
        for i, (low, high, first, last) in enumerate(self.products):
            self._register(f"run_{i}", mel[low:high, first:last:2])
        self._prepare(bin_hz)

    def _can_fft(self) -> bool:
        whole = self.analysis.fft_at(self.rate_hz) % 2 == 0 and self.analysis.hop_at(self.rate_hz).denominator == 1
        return whole and (self.rate_hz > ATOMS_UP_TO_HZ or self.rate_hz == self.analysis.rate_hz)

    def _prepare(self, bin_hz: tuple[float, ...]) -> None:
        self.hop = self.analysis.hop_at(self.rate_hz)
        if self.by_fft:
            self._register("taps", pre_emphasis_taps(self.analysis, self.rate_hz))
            self._register("window", fft_window(self.analysis, self.rate_hz))
            self.frame_values = 2 * int(self.analysis.fft_at(self.rate_hz))
            for i, table in enumerate(fourier_tables(int(self.analysis.fft_at(self.rate_hz)))):
                self._register(f"fourier_{i}", table)
        else:
            self.starts, atoms = frame_atoms(self.analysis, self.rate_hz, bin_hz)
            self._register("atoms", atoms)
            self.frame_values = atoms.shape[1] + atoms.shape[2]

    def _register(self, name: str, matrix: Tensor) -> None:
        self._exact[name] = matrix.contiguous()
        self.register_buffer(name, matrix.float().contiguous(), persistent=False)

    def _table(self, name: str, like: Tensor) -> Tensor:
        """Return a table for samples ``like``: the buffer for float32, else cast from what was computed in float64."""
        return (self.get_buffer(name) if like.dtype == torch.float32 else self._exact[name]).to(like)

    def n_frames(self, n_samples: int) -> int:
        """Return the number of frames of ``n_samples`` at the input rate."""
        return self.analysis.n_frames(n_samples, self.input_rate_hz)

    def forward(self, waveform: Tensor, weights: Tensor | None = None) -> Tensor:
        """Turn samples ``[batch, time]`` into Mel power ``[batch, audible band, frame]``.

        On a CPU few clips at a time: their intermediate results then stay in the cache.

        Args:
            waveform: the samples.
            weights: other Mel weights ``[bin, audible band]`` on ``bin_hz``, for this call alone.

        Raises:
            HearlessError: not floating-point samples ``[batch, time]``, or fewer than are reflected at the edges.
        """
        if waveform.ndim != 2 or not waveform.is_floating_point():
            raise HearlessError(
                f"a front end takes floating-point samples [batch, time], got {waveform.dtype} of shape "
                f"{tuple(waveform.shape)}; add a batch axis or scale integers to -1…1."
            )
        n_frames = self.n_frames(waveform.shape[-1])
        other = None if weights is None else _laid_out(weights.to(waveform))
        samples = waveform if self.plan is None else self._upsampled(waveform, self.plan)
        if samples.device.type != "cpu" or torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export():
            return self._power(samples, n_frames, other)
        n_clips = max(1, CACHED_VALUES // (n_frames * self.frame_values))
        return torch.cat([self._power(clips, n_frames, other) for clips in torch.split(samples, n_clips)])

    def _upsampled(self, waveform: Tensor, plan: ResamplingPlan) -> Tensor:
        return run_plan(waveform, plan, [self._table(f"plan_{i}", waveform) for i in range(len(plan.matrices))])

    def _power(self, samples: Tensor, n_frames: int, other: tuple[Tensor, Runs] | None) -> Tensor:
        power = self._parts(samples, n_frames).square()
        if other is None and torch.compiler.is_exporting():
            return self._by_runs(power)
        mel, runs = other or (self._table("mel", samples), self.products)
        products = [mel[low:high, first:last] @ power[..., first:last].mT for low, high, first, last in runs]
        return torch.cat(products, dim=-2)

    def _by_runs(self, power: Tensor) -> Tensor:
        """Multiply with what is used of the Mel matrix, a table a run, so that a file keeps nothing else of it."""
        sums = power.reshape(*power.shape[:-1], -1, 2).sum(-1).mT
        reached = [sums[..., first // 2 : (last + 1) // 2, :] for _, _, first, last in self.products]
        return torch.cat([self._table(f"run_{i}", sums) @ bins for i, bins in enumerate(reached)], dim=-2)

    def _parts(self, samples: Tensor, n_frames: int) -> Tensor:
        if not self.by_fft:
            return atom_parts(samples, self._table("atoms", samples), self.starts, self.hop.numerator, n_frames)
        if self.analysis.pre_emphasis:
            samples = pre_emphasise(samples, self._table("taps", samples))
        inner, turns, outer = (self._table(f"fourier_{i}", samples) for i in range(3))
        window = self._table("window", samples)
        return fft_parts(samples, window, self.hop.numerator, n_frames, (inner, turns, outer))


def _last(flags: Tensor) -> int:
    return int(flags.nonzero().max()) if flags.any() else 0


def _laid_out(weights: Tensor) -> tuple[Tensor, Runs]:
    """Turn Mel weights ``[bin, band]`` into a matrix ``[band, 2 * bin]`` for squared parts, and its runs."""
    mel = weights.T.repeat_interleave(2, dim=1)
    return mel, _products(mel)


def _products(mel: Tensor) -> Runs:
    """Part the Mel matrix ``[band, 2 * bin]`` into runs of bands and the bins they reach."""
    products = []
    for low in range(0, mel.shape[0], BANDS_PER_PRODUCT):
        high = min(low + BANDS_PER_PRODUCT, mel.shape[0])
        used = mel[low:high].any(dim=0).nonzero()
        products.append((low, high, int(used.min()) if len(used) else 0, int(used.max()) + 1 if len(used) else 1))
    return products
