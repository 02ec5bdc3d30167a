"""The CNN transcoder against NumPy-like padding and sums, its published count, and the released weights."""

from __future__ import annotations

import csv

import pytest
import soundfile
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from hearless.captures.third_octave import ThirdOctave
from hearless.enhancers.cnn_transcoder import CNNTranscoder
from hearless.frontends.band_levels import BandLevels
from hearless.frontends.log_mel import LogMel
from hearless.interfaces import HearlessError

KEYS = {f"mod_conv.{n}.{part}" for n in (1, 4, 7, 10, 13) for part in ("weight", "bias")}


def levels(frames: int = 8) -> torch.Tensor:
    return -20 + 12 * torch.randn(2, 1, 29, frames, generator=torch.Generator().manual_seed(0))


def test_published_count_and_names():
    network = CNNTranscoder()
    assert sum(p.numel() for p in network.parameters()) == 186_497
    assert set(network.state_dict()) == KEYS
    assert network.state_dict()["mod_conv.4.weight"].shape == (64, 64, 3, 5)


def test_forward_is_the_formula():
    network = CNNTranscoder(channels=6)
    state, x = network.state_dict(), network.pinv(levels()).mT
    y = x
    for n in (1, 4, 7, 10, 13):
        y = torch.cat([y[:, :, :1], y, y[:, :, -1:]], dim=2)
        y = torch.cat([y[..., :1], y[..., :1], y, y[..., -1:], y[..., -1:]], dim=3)
        y = F.conv2d(y, state[f"mod_conv.{n}.weight"], state[f"mod_conv.{n}.bias"])
        y = y if n == 13 else y.clamp(min=0)
    with torch.no_grad():
        torch.testing.assert_close(network(levels()), (x - y).mT)


def test_a_network_that_says_0_is_the_pinv():
    network = CNNTranscoder(channels=2)
    for parameter in network.parameters():
        parameter.data.zero_()
    with torch.no_grad():
        assert torch.equal(network(levels(80)), network.pinv(levels(80)))


@pytest.mark.parametrize(
    "settings",
    [{"kernel_frames": 5, "kernel_bands": 7}, {"dilation": 2}, {"layers": 2}, {"target": "mn04"}, {"interval": "slow"}],
)
def test_searched_settings_keep_the_axes(settings):
    network = CNNTranscoder(channels=2, **settings)
    with torch.no_grad():
        assert network(levels()).shape == network.pinv(levels()).shape


def test_wrong_arguments():
    with pytest.raises(HearlessError, match="layers at least 2, got channels=64, dilation=1, layers=1"):
        CNNTranscoder(layers=1)
    with pytest.raises(HearlessError, match="must be odd and at least 1, got 4 and 5"):
        CNNTranscoder(kernel_frames=4)
    with pytest.raises(HearlessError, match=r"\[batch, 1, band, frame\], got .*29 bands"):
        CNNTranscoder(channels=2)(torch.zeros(1, 1, 64, 8))


REFERENCE = {
    "4-163606-A-16": (13.55, 9.92), "4-166661-A-10": (8.70, 7.70), "4-168446-A-45": (12.62, 10.83),
    "4-172733-A-36": (8.93, 8.26), "4-185575-A-20": (48.11, 33.41), "4-186962-A-44": (14.91, 13.72),
    "4-187769-B-14": (53.17, 26.43), "4-80761-A-42": (38.56, 29.84),
}  # fmt: skip
"""Mean squared error of the Mel, PINV and CNN, made by another program from the released weights."""


@pytest.mark.data
def test_released_weights_give_the_reference_values(shared):
    folder = shared / "fixtures" / "transcoder"
    network = CNNTranscoder().eval()
    network.load_state_dict(load_file(folder / "pann_mels.safetensors"))
    truth, capture = LogMel(input_rate_hz=32000, reference_rate_hz=32000), ThirdOctave()
    found = {}
    with torch.no_grad():
        for name in REFERENCE:
            samples, rate_hz = soundfile.read(folder / "clips_32k" / f"{name}.flac", dtype="float32")
            chunks = torch.from_numpy(samples / abs(samples).max())[: 5 * rate_hz].reshape(5, rate_hz)
            heard, true = BandLevels()(capture(chunks, rate_hz)), truth(chunks)
            found[name] = tuple((mel - true).square().mean().item() for mel in (network.pinv(heard), network(heard)))
    for name, errors in REFERENCE.items():
        assert found[name] == pytest.approx(errors, rel=0.005)
    means = [sum(values) / len(found) for values in zip(*found.values(), strict=True)]
    assert means == pytest.approx([24.82, 17.51], rel=0.005)
    with (folder / "clips_32k" / "meta.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(found)
