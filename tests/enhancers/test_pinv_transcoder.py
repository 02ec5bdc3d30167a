"""The folded pseudo-inverse against the literal chain, and its laws."""

from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import torch

from hearless.captures.third_octave import ThirdOctave
from hearless.dsp.octave_bands import band_weights
from hearless.enhancers.cnn_transcoder import CNNTranscoder
from hearless.enhancers.light_transcoder import LightTranscoder
from hearless.enhancers.pinv_transcoder import PINVTranscoder
from hearless.frontends.log_mel import LogMel
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError

FRAME = {"fast": 4096, "slow": 32976}


def levels(frames: int = 8, clips: int = 2) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return -20 + 12 * torch.randn(clips, 1, 29, frames, dtype=torch.float64, generator=rng)


def mel_matrix(target: str, frame: int) -> np.ndarray:
    """``[Mel band, bin]`` on the ``frame``-point grid at 32 kHz, by librosa or by hand."""
    hz = np.arange(frame // 2 + 1) * 32000 / frame
    if target == "pann":
        return librosa.filters.mel(sr=32000, n_fft=frame, n_mels=64, fmin=50, fmax=14000, dtype=np.float64)
    if target == "yamnet":
        return librosa.filters.mel(
            sr=32000, n_fft=frame, n_mels=64, fmin=125, fmax=7500, htk=True, norm=None, dtype=np.float64
        )
    mel = 1127 * np.log(1 + hz / 700)
    edges = np.linspace(0, 1127 * math.log(1 + 15000 / 700), 130)[:, None]
    width = edges[1] - edges[0]
    emphasis = np.abs(1 - 0.97 * np.exp(-2j * np.pi * hz / 32000)) ** 2
    return np.maximum(0, 1 - np.abs(mel - edges[1:-1]) / width) * emphasis


def literal(x: torch.Tensor, target: str, interval: str, bands: str, n_frames: int) -> torch.Tensor:
    """The published chain with its whole spectrum, ``[clip, Mel band, frame]``."""
    frame = FRAME[interval]
    window = {"pann": 1024, "yamnet": 512, "mn04": 800}[target]
    amplitude = 10 ** ((x[:, 0] - 26) / 20)
    power = (amplitude * frame * math.sqrt(2) / 2) ** 2 * ((1 + window / 2) / (1 + frame / 2) * 0.5) ** 2
    inverse = np.maximum(0, np.linalg.pinv(band_weights(bands, frame).numpy().T, rcond=1e-15))
    spectrum = torch.from_numpy(inverse) @ power
    spectrum = torch.nn.functional.interpolate(spectrum, size=n_frames, mode="linear")
    mel = torch.from_numpy(mel_matrix(target, frame)) @ spectrum
    if target == "pann":
        return 10 * mel.clamp(min=1e-10).log10()
    return (mel + 0.001).log() if target == "yamnet" else ((mel + 1e-5).log() + 4.5) / 5


@pytest.mark.parametrize(("target", "n_frames"), [("pann", 101), ("yamnet", 96), ("mn04", 100)])
@pytest.mark.parametrize(
    ("interval", "bands"), [("fast", "published"), ("fast", "iec61260"), ("slow", "published")]
)  # fmt: skip
def test_one_matrix_is_the_literal_chain(target, n_frames, interval, bands):
    x = levels(8 if interval == "fast" else 1)
    expected = literal(x, target, interval, bands, n_frames)
    network = PINVTranscoder(target=target, interval=interval, bands=bands)
    torch.testing.assert_close(network(x)[:, 0], expected, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(network(x.float())[:, 0].double(), expected, rtol=0, atol=1e-3)


def test_published_constants():
    from hearless.enhancers._folding import TARGETS, spectrum_of_bands

    assert TARGETS["pann"].gain(4096) == pytest.approx(0.0156708, rel=1e-5)
    assert TARGETS["yamnet"].gain(4096) == pytest.approx(0.0039330, rel=1e-4)
    clipped = torch.linalg.pinv(band_weights("published", 4096).T) < 0
    inverse = spectrum_of_bands("published", "fast")
    assert inverse.shape == (2049, 29)
    assert inverse.min() == 0.0
    inside = band_weights("published", 4096).any(dim=1)
    assert clipped[inside].double().mean().item() == pytest.approx(0.44, abs=0.08)


@pytest.mark.parametrize(("target", "n_frames"), [("pann", 1001), ("yamnet", 960), ("mn04", 1000)])
def test_ten_seconds_have_the_frames_of_the_front_end(target, n_frames):
    assert PINVTranscoder(target=target)(levels(80)).shape[-1] == n_frames
    assert PINVTranscoder(target=target, interval="slow")(levels(10)).shape[-1] == n_frames


@pytest.mark.parametrize(
    ("target", "frontend"),
    [("pann", LogMel(input_rate_hz=32000, reference_rate_hz=32000)), ("mn04", PreEmphasisMel())],
)
def test_frames_and_bands_are_the_front_ends(target, frontend):
    axes = frontend.axes(10 * 32000)
    assert PINVTranscoder(target=target)(levels(80)).shape[2:] == (len(axes.band_hz), axes.n_frames)


def test_ten_db_louder_is_ten_db_up():
    network = PINVTranscoder()
    torch.testing.assert_close(network(levels() + 10), network(levels()) + 10, rtol=0, atol=1e-6)


def test_a_tone_keeps_its_mel_band():
    for hz in (300.0, 1000.0, 4000.0):
        tone = torch.sin(2 * math.pi * hz * torch.arange(32000) / 32000)[None]
        true = LogMel(input_rate_hz=32000, reference_rate_hz=32000)(tone)[0, 0].mean(1)
        transcoded = PINVTranscoder()(ThirdOctave()(tone, 32000).unsqueeze(1))[0, 0].mean(1)
        assert abs(int(true.argmax()) - int(transcoded.argmax())) <= 3


def test_nothing_is_learned_or_stored():
    network = PINVTranscoder()
    assert list(network.parameters()) == []
    assert network.state_dict() == {}


def test_wrong_input():
    with pytest.raises(HearlessError, match=r"target must be one of pann, yamnet, mn04, got 'vggish'"):
        PINVTranscoder(target="vggish")
    with pytest.raises(HearlessError, match="PINVTranscoder: interval must be one of"):
        PINVTranscoder(interval="impulse")
    with pytest.raises(HearlessError, match="PINVTranscoder: bands must be one of"):
        PINVTranscoder(bands="octaves")
    for shape in ((1, 1, 31, 8), (1, 29, 8), (1, 1, 29, 0)):
        with pytest.raises(HearlessError, match=r"\[batch, 1, band, frame\], got .*29 bands"):
            PINVTranscoder()(torch.zeros(shape))


def test_octaves_are_the_literal_chain_on_ten_bands():
    x = -20 + 12 * torch.randn(2, 1, 10, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inverse = np.maximum(0, np.linalg.pinv(band_weights("iec61260", 4096, "1/1").numpy().T, rcond=1e-15))
    power = (10 ** ((x[:, 0] - 26) / 20) * 4096 * math.sqrt(2) / 2) ** 2 * ((1 + 512) / (1 + 2048) * 0.5) ** 2
    spectrum = torch.nn.functional.interpolate(torch.from_numpy(inverse) @ power, size=101, mode="linear")
    expected = 10 * (torch.from_numpy(mel_matrix("pann", 4096)) @ spectrum).clamp(min=1e-10).log10()
    made = PINVTranscoder(bands="iec61260", octaves="1/1")(x)[:, 0]
    torch.testing.assert_close(made, expected, rtol=1e-7, atol=1e-7)
    with pytest.raises(HearlessError, match="give the 10 bands"):
        PINVTranscoder(octaves="1/1")(levels())


@pytest.mark.parametrize(("target", "last", "n_frames"), [("pann", 1, 301), ("yamnet", 0, 288), ("mn04", 0, 300)])
@pytest.mark.parametrize("kind", [PINVTranscoder, CNNTranscoder, LightTranscoder])
def test_seconds_apart_are_single_seconds_behind_one_another(kind, target, last, n_frames):
    torch.manual_seed(0)
    apart = kind(target=target, seconds_apart=True).double()
    whole = kind(target=target).double()
    whole.load_state_dict(apart.state_dict())
    x = levels(24)
    seconds = [whole(x[..., start : start + 8]) for start in (0, 8, 16)]
    cut = [second[..., : second.shape[3] - last] for second in seconds[:2]]
    torch.testing.assert_close(apart(x), torch.cat([*cut, seconds[2]], dim=3))
    assert apart(x).shape[3] == n_frames
    torch.testing.assert_close(apart(x[..., :8]), whole(x[..., :8]))
    assert not torch.allclose(apart(x), whole(x))


@pytest.mark.parametrize("kind", [CNNTranscoder, LightTranscoder])
def test_learned_transcoders_hear_octaves_as_well(kind):
    network = kind(octaves="1/1")
    assert network(torch.zeros(1, 1, 10, 8)).shape == (1, 1, 64, 101)
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in kind().parameters())
