"""Responses: their gain in Hz at any rate, their content, what is refused, and leaks that hide."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy import signal

from hearless import responses
from hearless.interfaces import HearlessError


def write(folder: Path, name: str, samples: np.ndarray, rate_hz: int = 44100) -> None:
    folder.mkdir(exist_ok=True)
    soundfile.write(folder / name, samples, rate_hz, subtype="FLOAT")


def band_pass(rate_hz: int, low_hz: float = 300.0, high_hz: float = 5000.0) -> np.ndarray:
    return signal.firwin(255, [low_hz, high_hz], fs=rate_hz, pass_zero=False)


def gain_db(samples: np.ndarray, rate_hz: int, hz: list[float]) -> np.ndarray:
    _, h = signal.freqz(samples.astype(np.float64), worN=hz, fs=rate_hz)
    return 20 * np.log10(np.abs(h))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, low_hz in enumerate((200.0, 800.0, 1500.0)):
        write(tmp_path / "irs", f"{number}.wav", band_pass(44100, low_hz))
    write(tmp_path / "irs", "48.WAV", band_pass(48000), 48000)
    (tmp_path / "irs" / "readme.txt").write_text("no sound")
    return tmp_path / "irs"


@pytest.mark.parametrize("rate_hz", [16000, 32000, 44100, 96000])
def test_a_response_keeps_its_gain_in_hz(folder: Path, rate_hz: int) -> None:
    read = responses.read(folder, rate_hz)
    assert [r.name for r in read] == ["0.wav", "1.wav", "2.wav", "48.WAV"]
    assert {r.rate_hz for r in read} == {rate_hz}
    hz = [100.0, 400.0, 1000.0, 3000.0, 6000.0]
    np.testing.assert_allclose(gain_db(read[0].samples, rate_hz, hz)[1:4],
                               gain_db(band_pass(44100, 200.0), 44100, hz)[1:4], atol=0.05)  # fmt: skip
    np.testing.assert_allclose(gain_db(read[3].samples, rate_hz, hz)[1:4],
                               gain_db(band_pass(48000), 48000, hz)[1:4], atol=0.05)  # fmt: skip


def test_named_ones_come_in_the_order_named(folder: Path) -> None:
    assert [r.name for r in responses.read(folder, 32000, ["2.wav", "0.wav"])] == ["2.wav", "0.wav"]
    with pytest.raises(HearlessError, match=r"must hold 9\.wav; it holds 0\.wav"):
        responses.read(folder, 32000, ["9.wav"])


def test_a_missing_folder_and_one_without_responses_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match=r"it holds none; .*, or leave out --set responses"):
        responses.files(tmp_path)
    with pytest.raises(HearlessError, match="there is no such folder"):
        responses.files(tmp_path / "nowhere")


def test_content_is_of_names_and_bytes_not_of_places(folder: Path, tmp_path: Path) -> None:
    told = responses.content(folder)
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert responses.content(moved) == told
    assert responses.content(folder, ["0.wav"]) != told
    responses.read(folder, 32000, expected=told)
    write(folder, "0.wav", band_pass(44100, 201.0))
    assert responses.content(folder) != told
    with pytest.raises(HearlessError, match=f"must have content {told}, got .*added, removed or changed"):
        responses.read(folder, 32000, expected=told)


def test_all_that_cannot_be_used_is_listed(folder: Path) -> None:
    write(folder, "silent.wav", np.zeros(100))
    write(folder, "nan.wav", np.array([1.0, np.nan]))
    write(folder, "none.wav", np.zeros(0))
    with pytest.raises(HearlessError, match="3 impulse responses cannot be used") as caught:
        responses.read(folder, 32000)
    for part in ("silent.wav must hold an impulse response, got silence", "nan.wav must hold finite", "none.wav"):
        assert part in str(caught.value)


@pytest.mark.parametrize("empty", [True, False])
def test_a_folder_without_responses_says_what_to_give(tmp_path: Path, empty: bool) -> None:
    with pytest.raises(HearlessError, match="must be a folder of impulse responses"):
        responses.read(tmp_path if empty else tmp_path / "missing", 32000)


def test_made_up_ones_are_distinct_causal_band_passes() -> None:
    made = responses.read("", 48000)
    assert len({r.name for r in made}) == len({r.sha256 for r in made}) == responses.MADE_UP
    for response in made:
        energy = np.cumsum(response.samples.astype(np.float64) ** 2)
        assert energy[200] > 0.9 * energy[-1]  # minimum phase: early
        low, *middle, high = gain_db(response.samples, 48000, [20.0, 500.0, 1000.0, 2000.0, 4000.0, 23000.0])
        assert max(middle) > max(low, high) + 6
    with pytest.raises(HearlessError, match=r"among device01, .* without a folder, got mine"):
        responses.read("", 48000, ["mine"])


def test_minimum_phase_has_the_level_asked_for() -> None:
    hz = np.fft.rfftfreq(2 * responses.MADE_UP_TAPS, 1 / 48000)
    level_db = -6.0 + 6.0 * np.cos(2 * np.pi * hz / 24000)
    taps = responses.minimum_phase(level_db)
    np.testing.assert_allclose(gain_db(taps, 48000, hz[1:-1].tolist()), level_db[1:-1], atol=0.01)
    known = signal.minimum_phase(np.array([0.2, 0.5, 0.2]), method="homomorphic", half=False, n_fft=4096)
    _, h = signal.freqz([0.2, 0.5, 0.2], worN=len(hz), include_nyquist=True)
    np.testing.assert_allclose(responses.minimum_phase(20 * np.log10(np.abs(h)))[:3], known, atol=1e-3)


def test_apart_is_apart_and_a_disguised_copy_is_found() -> None:
    made = responses.made_up()
    responses.check_apart(made[:6], made[6:])
    copy = replace(made[7], name="copy", sha256="other", samples=0.3 * np.pad(made[7].samples, (37, 5))[:900])
    with pytest.raises(HearlessError, match=r"leak: .*got 1: copy is device08; name them in left_out"):
        responses.check_apart([*made[:6], copy], made[6:])
    with pytest.raises(HearlessError, match="got 1: copy is device08"):
        responses.check_apart([responses.resampled(copy, 32000)], made[6:])
    with pytest.raises(HearlessError, match="got 2"):
        responses.check_apart(made[:8], made[6:])


@pytest.mark.data
def test_micirp_is_66_responses_and_a_microphones_filter_switch_is_one_device(shared: Path) -> None:
    read = responses.read(shared / "data" / "micirp" / "wav", 32000)
    assert len(read) == 66
    with pytest.raises(HearlessError, match=r"got 1: EV_RE20_Flat\.wav is EV_RE20_HPF\.wav"):
        responses.check_apart([r for r in read if "Flat" in r.name], [r for r in read if "RE20_HPF" in r.name])
    apart = [r for r in read if "HPF" not in r.name]
    for i, response in enumerate(apart):
        responses.check_apart(apart[:i], [response])
