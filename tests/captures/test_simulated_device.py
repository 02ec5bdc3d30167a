"""Simulated devices: a passes, s1 to s6 are response and compression, and what cannot be simulated is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy import signal

from hearless import responses
from hearless.captures.simulated_device import DEVICES, SimulatedDevice
from hearless.dsp.compression import compressed
from hearless.interfaces import HearlessError

RATE_HZ = 16000


def noise(level: float = 0.1, n: int = 4) -> torch.Tensor:
    return level * torch.randn(n, RATE_HZ, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(7):
        taps = np.random.default_rng(number).standard_normal(300) * np.exp(-np.arange(300) / 20)
        soundfile.write(tmp_path / f"m{number}.wav", 0.05 * taps, RATE_HZ, subtype="FLOAT")
    return tmp_path


def made(folder: Path) -> SimulatedDevice:
    names = [f"m{number}.wav" for number in (3, 1, 2, 0, 5, 6)]
    told = responses.content(folder, names)
    return SimulatedDevice(rate_hz=RATE_HZ, folder=str(folder), content=told, names=",".join(names))


@pytest.mark.parametrize("devices", [(), ("a", "b", "c", None)])
def test_real_devices_pass_unchanged(devices: tuple[str | None, ...]) -> None:
    assert torch.equal(SimulatedDevice(rate_hz=RATE_HZ)(noise(), RATE_HZ, devices), noise())


def test_a_simulated_one_is_its_response_then_its_compression(folder: Path) -> None:
    waves = noise()
    found = made(folder)(waves, RATE_HZ, ("a", "s4", "s1", "s4"))
    assert torch.equal(found[0], waves[0])
    for row, file, device in ((1, "m0", "s4"), (2, "m3", "s1"), (3, "m0", "s4")):
        taps, _ = soundfile.read(folder / f"{file}.wav")
        heard = signal.convolve(waves[row].numpy(), taps / np.linalg.norm(taps))[:RATE_HZ]
        expected = compressed(torch.from_numpy(heard).float()[None], RATE_HZ, DEVICES[device])[0]
        torch.testing.assert_close(found[row], expected, rtol=1e-3, atol=1e-5)


def test_every_device_sounds_unlike_every_other() -> None:
    wave, capture = noise(n=1), SimulatedDevice(rate_hz=RATE_HZ)
    spectra = [capture(wave, RATE_HZ, (d,)).square().mean(1) for d in ("a", *DEVICES)]
    heard = torch.cat([capture(wave, RATE_HZ, (d,)) for d in ("a", *DEVICES)])
    unlike = torch.corrcoef(heard) - torch.eye(7)
    assert unlike.max() < 0.98
    assert len({round(s.item(), 9) for s in spectra}) == 7


def test_loud_is_compressed_and_quiet_is_not() -> None:
    capture = SimulatedDevice(rate_hz=RATE_HZ)
    quiet, loud = (capture(noise(level, 1), RATE_HZ, ("s6",)) for level in (1e-3, 0.3))
    gain_db = 20 * torch.log10(loud.std() / quiet.std() / 300)
    assert gain_db < -10


def test_the_rate_is_changed_first() -> None:
    capture = SimulatedDevice(rate_hz=RATE_HZ)
    tone = torch.sin(2 * np.pi * 600.0 * torch.arange(8000, dtype=torch.float64) / 8000)[None]
    assert capture(tone, 8000, ("s2",)).shape == (1, RATE_HZ)
    assert (capture.rate_hz, capture.source_rate_hz, capture.minimum_rate_hz) == (RATE_HZ, RATE_HZ, 1)


def test_its_responses_are_kept_out_of_a_pool(folder: Path) -> None:
    capture = made(folder)
    assert [r.name for r in capture.responses_of(["s4", "s6"])] == ["m0.wav", "m6.wav"]
    everything = responses.read(folder, RATE_HZ)
    with pytest.raises(HearlessError, match=r"leak: .*got 3: m0\.wav is m0\.wav"):
        responses.check_apart(everything, capture.responses_of(["s4", "s5", "s6"]))
    responses.check_apart(everything[1:5], capture.responses_of(["s4", "s5", "s6"]))


def test_identity_is_the_content_and_not_the_place() -> None:
    assert SimulatedDevice.LOCATION == ("folder",)


def test_changed_responses_are_refused(folder: Path) -> None:
    capture = made(folder)
    soundfile.write(folder / "m0.wav", np.ones(9), RATE_HZ)
    with pytest.raises(HearlessError, match="must have content"):
        capture(noise(), RATE_HZ, ("s1",) * 4)


def test_wrong_devices() -> None:
    capture = SimulatedDevice(rate_hz=RATE_HZ)
    with pytest.raises(HearlessError, match=r"simulated ones among s1, .*: s7"):
        capture(noise(), RATE_HZ, ("a", "s7", "s1", "s2"))
    with pytest.raises(HearlessError, match=r"one per clip, .* got 2 for 4 clips"):
        capture(noise(), RATE_HZ, ("a", "s1"))


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"rate_hz": 0}, "rate_hz must be at least 1, got 0"),
        ({"folder": "irs", "content": "0"}, "names must be the files of s1, s2, s3, s4, s5, s6, all different, got ''"),
        ({"names": "a,b,c,d,e,e"}, "all different"),
        ({"folder": "irs", "names": "a,b,c,d,e,f"}, "content must be given with a folder"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], rule: str) -> None:
    with pytest.raises(HearlessError, match=rule):
        SimulatedDevice(**arguments)
