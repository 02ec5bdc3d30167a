"""Official PANNs checkpoints: their layout, their front end dropped, their bands cut, other weights refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hearless.classifiers import _panns
from hearless.classifiers._official import read_state, recognise
from hearless.classifiers.cnn14 import Cnn14
from hearless.classifiers.mobilenetv2 import MobileNetV2
from hearless.interfaces import HearlessError


def official(network: torch.nn.Module, n_fft: int = 512) -> dict[str, Any]:
    """What a published file holds: the front end's tensors among the weights, and the sampler's arrays."""
    bins = n_fft // 2 + 1
    front_end = {
        "spectrogram_extractor.stft.conv_real.weight": torch.zeros(bins, 1, n_fft),
        "spectrogram_extractor.stft.conv_imag.weight": torch.zeros(bins, 1, n_fft),
        "logmel_extractor.melW": torch.zeros(bins, 64),
    }
    sampler = {"indexes": [np.arange(9), np.arange(4, dtype=np.int32)], "pointer": np.int64(3), "p": np.ones(3)}
    return {"iteration": 600000, "model": {**front_end, **network.state_dict()}, "sampler": sampler}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    network = MobileNetV2()
    network.bn0.running_mean = torch.arange(64.0)
    path = tmp_path_factory.mktemp("weights") / "MobileNetV2.pth"
    torch.save(official(network), path)
    return path, network.state_dict()


def test_official_file_loads_strictly(file: tuple[Path, dict[str, Tensor]]) -> None:
    path, written = file
    network = MobileNetV2()
    network.load_official(read_state(path))
    assert all(torch.equal(tensor, written[key]) for key, tensor in network.state_dict().items())


def test_fewer_bands_are_the_lowest(file: tuple[Path, dict[str, Tensor]]) -> None:
    network = MobileNetV2(n_bands=40)
    network.load_official(read_state(file[0]))
    assert network.bn0.running_mean is not None
    assert network.bn0.running_mean.tolist() == list(range(40))


def test_replace_output_keeps_the_fresh_layer(file: tuple[Path, dict[str, Tensor]]) -> None:
    path, written = file
    network = MobileNetV2(n_classes=50)
    fresh = network.fc_audioset.weight.clone()
    network.load_official(read_state(path), replace_output=True)
    assert torch.equal(network.fc_audioset.weight, fresh)
    assert torch.equal(network.fc1.weight, written["fc1.weight"])


def test_other_class_count_is_said(file: tuple[Path, dict[str, Tensor]]) -> None:
    with pytest.raises(HearlessError, match=r"fc_audioset\.weight 527×1024 instead of 50×1024.*replace_output"):
        MobileNetV2(n_classes=50).load_official(read_state(file[0]))


def test_other_architecture_is_said(file: tuple[Path, dict[str, Tensor]]) -> None:
    with torch.device("meta"):
        network = Cnn14()
    with pytest.raises(HearlessError, match=r"Cnn14 cannot take.*missing conv_block1.*and \d+ more; unknown features"):
        network.load_official(read_state(file[0]))


def test_more_bands_than_published_are_refused(file: tuple[Path, dict[str, Tensor]]) -> None:
    with pytest.raises(HearlessError, match=r"bn0\.weight 64 instead of 80"):
        MobileNetV2(n_bands=80).load_official(read_state(file[0]))


def test_wrapped_state_is_refused(file: tuple[Path, dict[str, Tensor]]) -> None:
    with pytest.raises(HearlessError, match="flat state dict of tensors, got iteration, model"):
        MobileNetV2().load_official(torch.load(file[0], weights_only=False))


@pytest.mark.parametrize(("n_fft", "name"), [(512, "cnn14_16k"), (1024, "cnn14"), (256, "cnn14_8k")])
def test_recognise_tells_the_rate_by_the_front_end(n_fft: int, name: str) -> None:
    with torch.device("meta"):
        state = official(Cnn14(), n_fft)["model"]
    assert recognise(state) == [("Cnn14", {"n_classes": 527, "n_bands": 64}, [name])]


def test_initialisation_is_xavier_with_zero_biases() -> None:
    layer = torch.nn.Linear(300, 200)
    _panns.initialise(torch.nn.Sequential(layer))
    bound = (6 / 500) ** 0.5
    assert not layer.bias.any()
    assert 0.99 * bound < float(layer.weight.detach().abs().max()) <= bound


def test_pooling_is_maximum_plus_mean_over_frames(features: Callable[[int, int], Tensor]) -> None:
    x = features(5, 7)  # here [batch, channel, frame, band]
    by_hand = x.numpy().mean(3).max(2) + x.numpy().mean(3).mean(2)
    np.testing.assert_allclose(_panns.pooled(x).numpy(), by_hand, rtol=1e-6)


def test_mask_acts_after_the_input_normalisation(features: Callable[[int, int], Tensor]) -> None:
    bn0 = torch.nn.BatchNorm2d(32).eval()
    bn0.bias.data.fill_(9.0)
    keep = torch.ones(2, 1, 32, 40)
    keep[:, :, 3:5] = 0
    x = _panns.normalised("network", bn0, features(32, 40), keep)
    assert x.shape == (2, 1, 40, 32)
    assert not x[..., 3:5].any()
    torch.testing.assert_close(x[..., 5:], features(32, 40).transpose(2, 3)[..., 5:] + 9, rtol=1e-4, atol=1e-4)
