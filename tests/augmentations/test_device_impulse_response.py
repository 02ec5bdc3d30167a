"""Device impulse responses against scipy, their laws (which clips, which energy, any rate), and wrong input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy import signal

from hearless import responses
from hearless.augmentations.device_impulse_response import DeviceImpulseResponse, energy
from hearless.interfaces import Axes, Clip, HearlessError

HEARD = {"heard": 1.0, "response": 0.0}
PLAIN = {"heard": 0.0, "response": 0.0}


def clip(device: str | None) -> Clip:
    return Clip("x", Path("x.wav"), ("dog",), device=device)


def noise(n: int, batch: int = 1) -> torch.Tensor:
    return 0.1 * torch.randn(batch, n, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        taps = np.random.default_rng(number).standard_normal(400) * np.exp(-np.arange(400) / 40)
        taps = np.concatenate([np.zeros(50), taps])  # what rings ahead of the sound when resampled is kept
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * taps, 16000, subtype="FLOAT")
    return tmp_path


def made(folder: Path, **more: object) -> DeviceImpulseResponse:
    return DeviceImpulseResponse(folder=str(folder), content=responses.content(folder), **more)


def test_it_is_scipys_convolution_cut(folder: Path) -> None:
    waves = noise(8000, 3)
    draws = [{"heard": 1.0, "response": share} for share in (0.0, 0.5, 0.999)]
    found = made(folder).apply(waves, draws, 16000)
    for number, (row, wave) in enumerate(zip(found, waves, strict=True)):
        taps, _ = soundfile.read(folder / f"{number}.wav")
        np.testing.assert_allclose(row.numpy(), signal.convolve(wave.numpy(), taps)[:8000], atol=1e-5)


def test_only_clips_drawn_change_and_they_alone(folder: Path) -> None:
    waves = noise(4000, 4)
    found = made(folder).apply(waves, [PLAIN, HEARD, PLAIN, HEARD], 16000)
    same = [torch.equal(row, wave) for row, wave in zip(found, waves, strict=True)]
    assert same == [True, False, True, False]


def test_a_response_means_the_same_at_any_rate(folder: Path) -> None:
    seconds = torch.arange(32000, dtype=torch.float64)[None] / 32000
    tone = torch.sin(2 * np.pi * 700.0 * seconds)
    high = made(folder).apply(tone, [HEARD], 32000)
    low = made(folder).apply(tone[:, ::4], [HEARD], 8000)
    torch.testing.assert_close(low[:, 500:-100], high[:, ::4][:, 500:-100], rtol=0, atol=2e-3)


@pytest.mark.parametrize(("devices", "expected"), [("a", {"a"}), ("a, s1", {"a", "s1"}), ("*", {"a", "b", "s1", None})])
def test_it_is_for_some_devices(devices: str, expected: set[str | None]) -> None:
    augmentation = DeviceImpulseResponse(probability=1.0, devices=devices)
    rng = np.random.default_rng(0)
    assert {d for d in ("a", "b", "s1", None) if augmentation.draw(rng, clip(d), 1.0)["heard"]} == expected


def test_as_often_as_asked_and_every_response_alike() -> None:
    augmentation, rng = DeviceImpulseResponse(probability=0.6), np.random.default_rng(1)
    draws = [augmentation.draw(rng, clip("a"), 1.0) for _ in range(4000)]
    assert np.mean([d["heard"] for d in draws]) == pytest.approx(0.6, abs=0.03)
    places = np.bincount([int(d["response"] * 12) for d in draws if d["heard"]], minlength=12)
    assert places.min() > 150


def test_energy_is_the_sum_of_squares_of_a_second_at_32_khz() -> None:
    wave = noise(32000)
    torch.testing.assert_close(energy(wave), wave.square().sum(-1))
    torch.testing.assert_close(energy(wave.repeat(1, 3)), energy(wave))
    assert energy(torch.full((1, 8000), 0.1)).item() == pytest.approx(320.0)


def test_quiet_clips_stay_as_they_are(folder: Path) -> None:
    quiet, loud = torch.full((1, 16000), 0.1004), torch.full((1, 16000), 0.1006)  # energies 322.6 and 323.9
    adir = made(folder, energy_threshold=323.0)
    found = adir.apply(torch.cat([quiet, loud]), [HEARD, HEARD], 16000)
    assert torch.equal(found[:1], quiet)
    assert not torch.allclose(found[1:], loud)
    assert not torch.allclose(made(folder).apply(quiet, [HEARD], 16000), quiet)


def test_left_out_is_never_drawn(folder: Path) -> None:
    pool = made(folder, left_out="1.wav").pool(16000)
    assert [r.name for r in pool] == ["0.wav", "2.wav"]
    with pytest.raises(HearlessError, match="leak"):
        responses.check_apart(made(folder).pool(16000), responses.read(folder, 16000, ["1.wav"]))
    responses.check_apart(pool, responses.read(folder, 16000, ["1.wav"]))


def test_identity_is_the_content_and_not_the_place(folder: Path) -> None:
    assert DeviceImpulseResponse.LOCATION == ("folder",)
    augmentation = made(folder)
    soundfile.write(folder / "3.wav", np.ones(5), 16000)
    with pytest.raises(HearlessError, match="must have content"):
        augmentation.apply(noise(100), [HEARD], 16000)


def test_no_file_is_touched_before_it_is_needed() -> None:
    augmentation = DeviceImpulseResponse(folder="nowhere", content="0")
    assert torch.equal(augmentation.apply(noise(100), [PLAIN], 16000), noise(100))
    with pytest.raises(HearlessError, match="nowhere must be a folder of impulse responses"):
        augmentation.apply(noise(100), [HEARD], 16000)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"probability": 0.0}, r"probability must lie in 0\.\.1, 0 excluded, got 0\.0"),
        ({"devices": " , "}, "devices must name recording devices"),
        ({"energy_threshold": -1.0}, "energy_threshold must be 0 or more, got -1"),
        ({"folder": "irs"}, r"content must be given with a folder \(hearless\.responses\.content"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], rule: str) -> None:
    with pytest.raises(HearlessError, match=rule):
        DeviceImpulseResponse(**arguments)


def test_features_and_unknown_names_are_refused() -> None:
    with pytest.raises(HearlessError, match="needs their rate in Hz, got axes"):
        DeviceImpulseResponse().apply(noise(100), [HEARD], Axes((100.0,), 0.01, 10))
    with pytest.raises(HearlessError, match="left_out must name responses, got 'device99'"):
        DeviceImpulseResponse(left_out="device99").pool(16000)


@pytest.mark.data
def test_micirps_responses_are_heard(shared: Path) -> None:
    found = made(shared / "data" / "micirp" / "wav").apply(noise(32000, 4), [HEARD] * 4, 32000)
    assert found.isfinite().all()
    assert found.std() > 0.01
