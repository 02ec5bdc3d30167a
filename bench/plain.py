"""The plain reference: what hearless computes, as a script writes it, clip by clip with librosa, soundfile and soxr.

Nothing here is naive on purpose: Mel matrices are made once, only the bands that are kept are multiplied, and the
16 kHz clips need no resampling to 16 kHz.  `tests/test_bench.py` holds it to the same numbers as ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

RATE_HZ = 16000
N_FFT, HOP = 512, 160
PANNS: dict[str, Any] = {"sr": RATE_HZ, "n_fft": N_FFT, "n_mels": 64, "fmin": 50.0, "fmax": 8000.0}

LEVEL_RATE_HZ = 32000
LEVEL_FRAME, LEVEL_HOP = 4096, 4000

Samples = NDArray[np.float32]
Loss = Callable[[Tensor], Tensor]


def log_mel(samples: Samples) -> Samples:
    """PANNs' log-Mel of one 16 kHz clip ``[time]`` → dB ``[64, frame]``, by librosa."""
    power = librosa.feature.melspectrogram(y=samples, hop_length=HOP, pad_mode="reflect", power=2.0, **PANNS)
    return np.asarray(librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None))


def log_mel_batched(waveform: Tensor) -> Tensor:
    """Return the same for a batch ``[batch, time]`` → ``[batch, 1, 64, frame]``, by torch.stft."""
    power = torch.stft(waveform, N_FFT, HOP, window=_panns_window(), return_complex=True).abs().square()
    return (10.0 * torch.log10((_panns_matrix() @ power).clamp(min=1e-10))).unsqueeze(1)


@lru_cache
def _panns_window() -> Tensor:
    return torch.hann_window(N_FFT)


@lru_cache
def _panns_matrix() -> Tensor:
    return torch.from_numpy(librosa.filters.mel(**PANNS))


def preemphasis_mel(samples: Samples, bands: int = 128) -> Samples:
    """mn04's features of one 16 kHz clip ``[time]`` → ``[bands, frame]``: the published ones in Hz and ms."""
    emphasised = np.fft.irfft(np.fft.rfft(samples) * _emphasis(len(samples)), len(samples)).astype(np.float32)[:-1]
    spectrum = librosa.stft(emphasised, n_fft=N_FFT, hop_length=HOP, window=_mn_window(), pad_mode="reflect")
    power = spectrum.real**2 + spectrum.imag**2
    return np.asarray((np.log(_mn_matrix()[:bands] @ power + 1e-5) + 4.5) / 5.0)


def preemphasis_mel_batched(waveform: Tensor) -> Tensor:
    """Return the same for a batch ``[batch, time]`` → ``[batch, 1, 128, frame]``, by torch.stft."""
    emphasis, length = torch.from_numpy(_emphasis(waveform.shape[-1])), waveform.shape[-1]
    emphasised = torch.fft.irfft(torch.fft.rfft(waveform) * emphasis, length)[:, :-1]
    window = torch.from_numpy(_mn_window())
    power = torch.stft(emphasised, N_FFT, HOP, window=window, return_complex=True).abs().square()
    return ((torch.log(torch.from_numpy(_mn_matrix()) @ power + 1e-5) + 4.5) / 5.0).unsqueeze(1)


@lru_cache
def _emphasis(n_samples: int) -> NDArray[np.complex64]:
    """``x[i + 1] - 0.97 x[i]`` of 32 kHz as the response of a whole 16 kHz clip, which then lies at ``i + 1/2``."""
    turn = 2j * np.pi * np.fft.rfftfreq(n_samples)
    response = (np.exp(0.25 * turn) - 0.97 * np.exp(-0.25 * turn)) * np.exp(0.5 * turn)
    return np.asarray(response, np.complex64)


@lru_cache
def _mn_window() -> Samples:
    """Hann of 25 ms (800 samples at 32 kHz), centred between samples; twice as high, for half as many samples."""
    time_s = (np.arange(N_FFT) - N_FFT // 2 + 0.5) / RATE_HZ
    support_s = 799 / 32000
    inside = np.abs(time_s) < support_s / 2
    return np.where(inside, 1.0 + np.cos(2 * np.pi / support_s * time_s), 0.0).astype(np.float32)


@lru_cache
def _mn_matrix() -> Samples:
    """Kaldi's 128 triangles from 0 to 15 kHz over the bins of a 16 kHz clip."""
    edges = np.linspace(0.0, _kaldi_mel(15000.0), 130)
    mel = np.array([_kaldi_mel(hz) for hz in np.arange(N_FFT // 2 + 1) * RATE_HZ / N_FFT])
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((mel - low) / (centre - low), (high - mel) / (high - centre))
    return np.asarray(np.maximum(0.0, triangles), np.float32)


def _kaldi_mel(hz: float) -> float:
    return 1127.0 * math.log1p(hz / 700.0)


def upsampled(samples: Samples, low_hz: int = 1000) -> Samples:
    """What a sensor at ``low_hz`` keeps of a 16 kHz clip, back at 16 kHz, by soxr (paper 000 §4.3)."""
    low = soxr.resample(samples, RATE_HZ, low_hz)
    return np.asarray(soxr.resample(low, low_hz, RATE_HZ), np.float32)


def third_octave(samples: Samples) -> Samples:
    """Paper 003's fast levels of one 32 kHz clip ``[time]`` → dB ``[frame, 29]``: frame by frame, a sum a band."""
    n_frames = 1 + max(0, math.ceil((len(samples) - LEVEL_FRAME) / LEVEL_HOP))
    padded = np.pad(samples, (0, LEVEL_FRAME + (n_frames - 1) * LEVEL_HOP - len(samples)))
    window, cells = _level_window(), _level_cells()
    correction = 1.0 / np.sqrt(np.mean(window**2))
    levels = np.empty((n_frames, len(cells)), np.float32)
    for i in range(n_frames):
        power = np.abs(np.fft.rfft(padded[i * LEVEL_HOP : i * LEVEL_HOP + LEVEL_FRAME] * window)) ** 2
        total = np.array([power[first : last + 1].sum() for first, last in cells])
        rms = np.sqrt(total / 2) / (LEVEL_FRAME / 2) * correction
        levels[i] = 20.0 * np.log10(np.maximum(rms, 1e-9)) + 26.0
    return levels


@lru_cache
def _level_window() -> Samples:
    """Tukey, a tenth of a frame tapered on either side."""
    n = np.arange(LEVEL_FRAME)
    from_end = np.minimum(n, LEVEL_FRAME - n) / (0.1 * LEVEL_FRAME)
    return np.where(from_end < 1.0, 0.5 - 0.5 * np.cos(np.pi * from_end), 1.0).astype(np.float32)


@lru_cache
def _level_cells() -> list[tuple[int, int]]:
    """First and last cell of each of the 29 bands, both included."""
    centres = 1000.0 * 10.0 ** ((np.arange(29) - 17) / 10)
    edges = np.stack([centres * 10**-0.05, centres * 10**0.05], axis=1) * LEVEL_FRAME / LEVEL_RATE_HZ
    return [(math.ceil(low), math.ceil(high)) for low, high in edges]


def masked(features: Tensor, paths: Sequence[tuple[nn.Module, nn.Module]]) -> Tensor:
    """Enhance features as paper 002 words it: every block averages a whole 2-D mask over either axis, makes another.

    ``paths`` are each block's two 1-D networks, over frames and over bands.
    """
    mask = features
    for over_frames, over_bands in paths:
        mask = over_bands(mask.mean(3))[..., :, None] * over_frames(mask.mean(2))[..., None, :]
    return features * mask


def update(student: nn.Module, features: Tensor, loss_of: Loss, optimizer: torch.optim.Optimizer) -> None:
    """Take one training step on features, with ``loss_of(logits)``."""
    optimizer.zero_grad()
    torch.autograd.backward(loss_of(student(features).logits))
    optimizer.step()


def cssd_loss(logits: Tensor, explained: Tensor, target: Tensor, alpha: float = 0.5, t: float = 4.0) -> Tensor:
    """Equation 1 of paper 000: labels and the teacher's logits, both softened by ``t``."""
    soft = F.kl_div((logits / t).log_softmax(-1), (explained / t).softmax(-1), reduction="batchmean")
    return alpha * F.cross_entropy(logits, target) + (1.0 - alpha) * t**2 * soft


@dataclass
class Loop:
    """CSSD as a plain training loop: every clip decoded, resampled and explained again at each step.

    Attributes:
        files, targets: the 16 kHz clips and their classes.
        student, teacher: networks in the default layout; the teacher hears 128 bands at 16 kHz.
        batch_size, bands: clips a step; bands the student hears.
    """

    files: Sequence[Path]
    targets: Tensor
    student: nn.Module
    teacher: nn.Module
    batch_size: int
    bands: int
    batches: Iterator[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.batches = self._batches()
        self.student.train()
        self.teacher.eval()
        self.optimizer = torch.optim.AdamW(self.student.parameters(), lr=1e-3, weight_decay=0.0)

    def _batches(self) -> Iterator[list[int]]:
        while True:
            order = self.rng.permutation(len(self.files)).tolist()
            yield from (
                order[i : i + self.batch_size] for i in range(0, len(order) - self.batch_size + 1, self.batch_size)
            )

    def step(self) -> None:
        """Decode, resample, extract, explain, learn."""
        rows = next(self.batches)
        heard, taught = zip(*(self._features(self.files[row]) for row in rows), strict=True)
        with torch.no_grad():
            explained = self.teacher(torch.from_numpy(np.stack(taught)[:, None])).logits
        target = self.targets[rows]
        features = torch.from_numpy(np.stack(heard)[:, None])
        update(self.student, features, lambda logits: cssd_loss(logits, explained, target), self.optimizer)

    def _features(self, path: Path) -> tuple[Samples, Samples]:
        samples, _ = soundfile.read(path, dtype="float32")
        samples = np.roll(samples, self.rng.integers(len(samples)))
        return preemphasis_mel(upsampled(samples), self.bands), preemphasis_mel(samples)
