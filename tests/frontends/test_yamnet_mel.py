"""YAMNet's log-Mel against a literal NumPy version and, where it is, the matrix of the published file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hearless.dsp.resample import resample
from hearless.frontends.yamnet_mel import YAMNetMel
from hearless.interfaces import HearlessError


def noise(n_samples: int, rows: int = 2) -> torch.Tensor:
    return 0.1 * torch.randn(rows, n_samples, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def mel_matrix() -> np.ndarray:
    """TensorFlow's ``linear_to_mel_weight_matrix(64, 257, 16000, 125, 7500)``: ``[257, 64]``."""

    def mel(hz: np.ndarray) -> np.ndarray:
        return 1127.0 * np.log(1.0 + hz / 700.0)

    bins = mel(np.linspace(0.0, 8000.0, 257))[1:, None]
    edges = np.linspace(mel(np.array(125.0)), mel(np.array(7500.0)), 66)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(0.0, np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre)))
    return np.pad(weights, ((1, 0), (0, 0)))


@pytest.mark.parametrize("n_samples", [16000, 15999, 4000])
def test_features_are_the_published_ones(n_samples):
    samples = noise(n_samples)
    padded = np.pad(samples.numpy(), ((0, 0), (0, 240)))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 400, axis=1)[:, ::160][:, : n_samples // 160]
    magnitude = np.abs(np.fft.rfft(frames * window, 512))
    expected = np.log(magnitude @ mel_matrix() + 0.001)
    np.testing.assert_allclose(YAMNetMel()(samples)[:, 0].mT.numpy(), expected, atol=1e-9)


@pytest.mark.data
def test_mel_matrix_is_that_of_the_published_file(shared):
    published = load_file(shared / "weights" / "yamnet_audioset" / "yamnet.fp16.safetensors")["mel_matrix"]
    torch.testing.assert_close(YAMNetMel().get_buffer("mel"), published.float(), rtol=0, atol=5e-4)


def test_twice_as_loud_is_ln_2_up_and_silence_the_offset():
    frontend, samples = YAMNetMel(), 100 * noise(8000)
    difference = frontend(2 * samples) - frontend(samples)
    torch.testing.assert_close(difference, torch.full_like(difference, np.log(2)), rtol=0, atol=1e-3)
    torch.testing.assert_close(frontend(torch.zeros(1, 1600)).unique(), torch.tensor([np.log(0.001)]).float())


def test_another_rate_is_resampled_first():
    samples = noise(32000)
    torch.testing.assert_close(
        YAMNetMel(input_rate_hz=32000)(samples), YAMNetMel()(resample(samples, 32000, 16000)), rtol=0, atol=0
    )
    assert YAMNetMel(input_rate_hz=44100).axes(44100).n_frames == 100


def test_wrong_input():
    with pytest.raises(HearlessError, match="at least 250, got 8"):
        YAMNetMel(input_rate_hz=8)
    with pytest.raises(HearlessError, match=r"10 ms at least, got 159 samples"):
        YAMNetMel()(torch.zeros(1, 159))
    with pytest.raises(HearlessError, match=r"samples \[batch, time\]"):
        YAMNetMel()(torch.zeros(1600))
