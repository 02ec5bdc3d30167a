"""MobileNetV3 against a functional re-computation, its published counts and, with the real weights, real sounds."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hearless.classifiers._inverted_residual import ChannelGate, channels
from hearless.classifiers._official import read_state
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.interfaces import HearlessError
from hearless.labels import label_names

STRIDE_2 = (0, 2, 4, 7, 13)
HARDSWISH = (0, *range(7, 17))


def reference(s: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and embedding from the tensors alone: shapes say where to expand, gate and add."""

    def conv_bn(x: Tensor, key: str, stride: int = 1) -> Tensor:
        weight = s[f"{key}.0.weight"]
        groups = x.shape[1] // weight.shape[1]
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)
        mean, var, gamma, beta = (s[f"{key}.1.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, var, gamma, beta, eps=1e-3)

    def act(x: Tensor, n: int) -> Tensor:
        return x * (x + 3).clamp(0, 6) / 6 if n in HARDSWISH else x.clamp(min=0)

    for n in range(17):
        if f"features.{n}.0.weight" in s:
            x = act(conv_bn(x, f"features.{n}", 2 if n in STRIDE_2 else 1), n)
            continue
        y, layer = x, 0
        if s[f"features.{n}.block.0.0.weight"].shape[-1] == 1:
            y, layer = act(conv_bn(y, f"features.{n}.block.0"), n), 1
        y = act(conv_bn(y, f"features.{n}.block.{layer}", 2 if n in STRIDE_2 else 1), n)
        layer += 1
        gate = f"features.{n}.block.{layer}.conc_se_layers.0"
        if f"{gate}.fc1.weight" in s:
            z = F.linear(y.mean(3).mean(2), s[f"{gate}.fc1.weight"], s[f"{gate}.fc1.bias"]).clamp(min=0)
            z = F.linear(z, s[f"{gate}.fc2.weight"], s[f"{gate}.fc2.bias"])
            y = y / (1 + (-z).exp())[:, :, None, None]
            layer += 1
        y = conv_bn(y, f"features.{n}.block.{layer}")
        x = x + y if y.shape == x.shape else y
    x = F.linear(x.mean(3).mean(2), s["classifier.2.weight"], s["classifier.2.bias"])
    embedding = act(x, 0)
    return F.linear(embedding, s["classifier.5.weight"], s["classifier.5.bias"]), embedding


def mel_weights() -> np.ndarray:
    """128 Kaldi triangles over 0 to 15 kHz on bins 0 to 511 of 1024 at 32 kHz, ``[128, 513]``."""

    def mel(hz: np.ndarray) -> np.ndarray:
        return 1127 * np.log(1 + hz / 700)

    edges = np.linspace(mel(np.array(0.0)), mel(np.array(15000.0)), 130)
    bins = mel(np.arange(512) * 32000 / 1024)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.pad(np.maximum(0, np.minimum(rising, falling)), ((0, 0), (0, 1)))


def front_end(waveform: np.ndarray) -> Tensor:
    """The published features of one clip at 32 kHz, ``[1, 1, 128, frame]``."""
    emphasised = waveform[1:] - 0.97 * waveform[:-1]
    window = np.pad(np.hanning(800), 112)
    padded = np.pad(emphasised, 512, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 1024)[::320]
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    logs = np.log(mel_weights() @ power.T + 1e-5)
    return torch.from_numpy(((logs + 4.5) / 5).astype(np.float32))[None, None]


@pytest.fixture(scope="module")
def mn04(shared: Path) -> MobileNetV3:
    network = MobileNetV3(width=0.4)
    network.load_official(read_state(shared / "weights" / "mn04_audioset" / "mn04_as_mAP_432.safetensors"))
    return network.eval()


def esc50(shared: Path, category: str) -> list[Path]:
    with (shared / "data" / "esc50_subset_16k" / "meta.csv").open(encoding="utf-8") as file:
        names = [row["filename"] for row in csv.DictReader(file) if row["category"] == category]
    return [shared / "data" / "esc50_subset_16k" / "audio" / name for name in names]


def top5(network: MobileNetV3, path: Path) -> set[str]:
    waveform, rate_hz = soundfile.read(path)
    with torch.no_grad():
        logits = network(front_end(soxr.resample(waveform, rate_hz, 32000))).logits[0]
    return {label_names("audioset")[index] for index in logits.topk(5).indices.tolist()}


@pytest.mark.data
@pytest.mark.parametrize(
    ("category", "name"),
    [
        ("dog", "Dog"),
        ("rooster", "Chicken, rooster"),
        ("rain", "Rain"),
        ("crying_baby", "Baby cry, infant cry"),
        ("cow", "Cattle, bovinae"),
        ("church_bells", "Church bell"),
    ],
)
def test_real_weights_know_real_sounds(shared: Path, mn04: MobileNetV3, category: str, name: str) -> None:
    clips = esc50(shared, category)[::8]
    right = sum(name in top5(mn04, path) for path in clips)
    assert right >= len(clips) - 1, f"{right} of {len(clips)} {category} clips"


@pytest.mark.data
def test_real_weights_load_strictly_and_compute_the_formula(shared: Path, mn04: MobileNetV3) -> None:
    assert sum(p.numel() for p in mn04.parameters()) == 983_599
    waveform, rate_hz = soundfile.read(esc50(shared, "dog")[0])
    clip = front_end(soxr.resample(waveform, rate_hz, 32000))
    with torch.no_grad():
        logits, embedding = reference(mn04.state_dict(), clip)
        heard = mn04(clip)
    torch.testing.assert_close(heard.logits, logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(heard.embedding, embedding, rtol=1e-4, atol=1e-5)


@pytest.mark.data
def test_real_weights_into_another_class_count_or_width(shared: Path, mn04: MobileNetV3) -> None:
    network = MobileNetV3(n_classes=10, width=0.4)
    network.load_official(mn04.state_dict(), replace_output=True)
    key = "features.16.0.weight"
    assert torch.equal(network.state_dict()[key], mn04.state_dict()[key])
    with pytest.raises(HearlessError, match=r"classifier\.5\.weight 527×512 instead of 10×512"):
        network.load_official(mn04.state_dict())
    with pytest.raises(HearlessError, match="another architecture, width or class count"):
        MobileNetV3(width=1.0).load_official(mn04.state_dict())


@pytest.mark.parametrize("width", [0.4, 1.0])
@pytest.mark.parametrize(("bands", "frames"), [(24, 10), (48, 50), (128, 101)])
def test_forward_is_the_formula(
    stirred: Callable[[nn.Module], dict[str, Tensor]],
    features: Callable[[int, int], Tensor],
    width: float,
    bands: int,
    frames: int,
) -> None:
    network = MobileNetV3(n_classes=6, width=width)
    state, clips = stirred(network), features(bands, frames)
    with torch.no_grad():
        heard = network(clips, maps=True)
        logits, embedding = reference(state, clips)
    torch.testing.assert_close(heard.logits, logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(heard.embedding, embedding, rtol=1e-4, atol=1e-5)
    assert list(heard.maps) == [f"features.{n}" for n in range(17)]


def test_channels_against_worked_values() -> None:
    worked = {16 * 0.4: 8, 25.6: 24, 28.8: 32, 6.0: 8, 44.8: 48, 64.0: 64, 11.9: 16, 20.0: 24, 512.0: 512}
    assert {value: channels(value) for value in worked} == worked


def test_gate_is_the_sigmoid_of_two_layers(features: Callable[[int, int], Tensor]) -> None:
    gate, x = ChannelGate(32), features(8, 4).reshape(2, 32, 1, 1).expand(2, 32, 3, 5)
    w = {key: tensor.numpy() for key, tensor in gate.state_dict().items()}
    squeezed = np.maximum(0, x[:, :, 0, 0].numpy() @ w["fc1.weight"].T + w["fc1.bias"])
    by_hand = 1 / (1 + np.exp(-(squeezed @ w["fc2.weight"].T + w["fc2.bias"])))
    with torch.no_grad():
        np.testing.assert_allclose(gate(x)[:, :, 0, 0].numpy(), by_hand, rtol=1e-5)


@pytest.mark.parametrize("width", [0.4, 0.5, 1.0, 2.0, 4.0, 0.35, 0.3, 0.77, 1.25])
def test_recognise_finds_a_width_of_the_same_shapes(width: float) -> None:
    with torch.device("meta"):
        shapes = {key: tuple(t.shape) for key, t in MobileNetV3(n_classes=11, width=width).state_dict().items()}
        arguments = MobileNetV3.recognise(shapes)
        assert arguments is not None
        assert arguments["n_classes"] == 11
        again = MobileNetV3(**arguments).state_dict()
    assert {key: tuple(t.shape) for key, t in again.items()} == shapes
    assert MobileNetV3.recognise({**shapes, "features.0.0.weight": (8, 3, 3, 3)}) is None


def test_wrong_arguments() -> None:
    with pytest.raises(HearlessError, match=r"width must be at least 0\.1, got 0"):
        MobileNetV3(width=0.0)
    with pytest.raises(HearlessError, match=r"dropout must be in \[0, 1\), got 1\.0"):
        MobileNetV3(dropout=1.0)
    with pytest.raises(HearlessError, match=r"at least 8 frames, got 7; give a longer clip"):
        MobileNetV3(n_classes=2, width=0.4)(torch.zeros(1, 1, 64, 7))
