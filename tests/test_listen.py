"""Live streams: decisions, smoothing, latency by a made-up clock, and what is no such stream."""

from __future__ import annotations

import builtins
import io
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from hearless import listen as listening
from hearless.interfaces import HearlessError
from hearless.listen import Decision, latency, listen, of_file, of_microphone, of_stream
from hearless.predict import Listener, predict

RATE_HZ = 1000


def loudness(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
    power = 20 * (waveform**2).mean(-1)
    return np.stack([power - 1, 1 - power], -1)


LISTENER = Listener(loudness, ("loud", "soft"), RATE_HZ, 1.0, none_below=0.85, minimum_rate_hz=RATE_HZ)
SOUND = np.repeat(np.float32([0.0, 0.5, 0.0, 0.1]), 1000)


def blocks(sound: np.ndarray, *sizes: int) -> Iterator[np.ndarray]:
    yield from np.split(sound, np.cumsum(sizes))


def pcm(sound: np.ndarray) -> io.BytesIO:
    return io.BytesIO(np.round(sound * 32768).astype("<i2").tobytes())


def test_decisions_are_those_of_the_windows_of_a_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", SOUND, RATE_HZ, subtype="FLOAT")
    (said,) = predict(LISTENER, tmp_path / "x.wav", hop_s=0.5, windows=True)
    found = list(listen(LISTENER, of_file(tmp_path / "x.wav", LISTENER, 0.5), hop_s=0.5))
    assert [one.time_s for one in found] == [window.end_s for window in said.windows or []]
    assert [one.named for one in found] == [window.named for window in said.windows or []]
    np.testing.assert_array_equal([one.scores for one in found], [window.scores for window in said.windows or []])
    assert {one.named for one in found} == {("loud",), ("soft",), ()}


@pytest.mark.parametrize("sizes", [(), (1, 2, 3), (999, 1), (1700,), (500,) * 7])
def test_how_the_stream_is_cut_changes_nothing(sizes: tuple[int, ...]) -> None:
    def plain(found: Iterator[Decision]) -> list[tuple[float, list[float]]]:
        return [(one.time_s, one.scores.tolist()) for one in found]

    assert plain(listen(LISTENER, blocks(SOUND, *sizes), hop_s=0.25)) == plain(
        listen(LISTENER, blocks(SOUND), hop_s=0.25)
    )


@pytest.mark.parametrize("sizes", [(), (1, 2, 3), (1200, 100, 400), (250,) * 15])
def test_what_lies_between_windows_of_a_longer_hop_is_skipped(sizes: tuple[int, ...]) -> None:
    found = list(listen(LISTENER, blocks(SOUND, *sizes), hop_s=1.5))
    assert [one.time_s for one in found] == [1.0, 2.5, 4.0]
    wanted = [loudness(SOUND[start : start + 1000], RATE_HZ) for start in (0, 1500, 3000)]
    assert [int(one.scores.argmax()) for one in found] == [int(logits.argmax()) for logits in wanted]
    assert [one.time_s for one in listen(LISTENER, blocks(SOUND, *sizes), hop_s=9.0)] == [1.0]


def test_smoothing_is_the_mean_of_the_last_windows() -> None:
    each = [one.scores for one in listen(LISTENER, blocks(SOUND), hop_s=0.5)]
    smooth = [one.scores for one in listen(LISTENER, blocks(SOUND), hop_s=0.5, smooth=3)]
    for i, scores in enumerate(smooth):
        np.testing.assert_allclose(scores, np.mean(each[max(0, i - 2) : i + 1], axis=0), rtol=1e-6)


def test_a_stream_shorter_than_a_window_gets_one_decision() -> None:
    (one,) = listen(LISTENER, blocks(SOUND[:300]), hop_s=0.5)
    assert one.time_s == 0.3
    assert list(listen(LISTENER, iter(()), hop_s=0.5)) == []


def test_latency_counts_from_the_windows_last_sample() -> None:
    ticks = count()
    found = list(listen(LISTENER, blocks(SOUND, 1000, 1000, 1000), hop_s=1.0, clock=lambda: float(next(ticks))))
    assert [one.latency_s for one in found] == [1.0] * 4
    at_once = list(listen(LISTENER, blocks(SOUND), hop_s=1.0, clock=lambda: float(next(ticks))))
    assert [one.latency_s for one in at_once] == [1.0, 2.0, 3.0, 4.0]
    said = latency([one.latency_s for one in at_once])
    assert (said.n, said.median_s, said.longest_s) == (4, 2.5, 4.0)
    assert said.most_s == pytest.approx(3.85)
    assert latency([]).n == 0


@pytest.mark.parametrize("rate_hz", [1000, 8000])
def test_samples_on_a_stream_are_heard_at_the_listeners_rate(rate_hz: int) -> None:
    time_s = np.arange(4 * rate_hz) / rate_hz
    tone = 0.5 * np.sin(2 * np.pi * 100 * time_s)
    heard = np.concatenate(list(of_stream(pcm(tone), rate_hz, LISTENER, 0.25)))
    assert len(heard) == 4000
    np.testing.assert_allclose(heard[200:-200], 0.5 * np.sin(0.2 * np.pi * np.arange(4000))[200:-200], atol=1e-3)


def test_streams_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match="ended within a sample; it must be 16-bit samples"):
        list(of_stream(io.BytesIO(b"\0" * 1001), RATE_HZ, LISTENER, 0.25))
    soundfile.write(tmp_path / "x.wav", SOUND, RATE_HZ)
    with pytest.raises(HearlessError, match="got a sound file; send samples alone"):
        list(of_stream(io.BytesIO((tmp_path / "x.wav").read_bytes()), RATE_HZ, LISTENER, 0.25))
    with pytest.raises(HearlessError, match="the stream must be sampled at 1000 Hz or more, got 500 Hz"):
        of_stream(io.BytesIO(), 500, LISTENER, 0.25)
    soundfile.write(tmp_path / "slow.wav", SOUND, 500)
    with pytest.raises(HearlessError, match=r"slow.wav must be sampled at 1000 Hz or more, got 500 Hz"):
        of_file(tmp_path / "slow.wav", LISTENER, 0.25)
    with pytest.raises(HearlessError, match="a stream must hold finite samples"):
        list(listen(LISTENER, blocks(SOUND * np.nan), hop_s=0.5))


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(HearlessError, match=r"hop must be at least one sample, 0\.001 s, got 0\."):
        listen(LISTENER, iter(()), hop_s=0.0)
    with pytest.raises(HearlessError, match="smooth must be at least 1 window, got 0"):
        listen(LISTENER, iter(()), hop_s=0.5, smooth=0)


class Stream:
    """A microphone that gives three blocks of its own rate, then nothing."""

    def __init__(self, *, samplerate: int, blocksize: int, callback: Callable[..., None], **more: Any) -> None:
        assert more == {"channels": 1, "dtype": "float32"}
        self.give = [np.full((blocksize, 1), 0.1 * i, np.float32) for i in range(3)]
        self.callback = callback
        self.samplerate = samplerate

    def __enter__(self) -> Stream:
        for samples in self.give:
            self.callback(samples, len(samples), None, None)
        return self

    def __exit__(self, *error: object) -> None:
        return None


class PortAudioError(Exception):
    pass


def test_a_microphone_is_heard_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(InputStream=Stream, PortAudioError=PortAudioError)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr(listening, "WAIT_S", 0.01)
    heard = of_microphone(LISTENER, 0.25, 1000)
    np.testing.assert_allclose(np.concatenate([next(heard) for _ in range(3)])[::250], [0, 0.1, 0.2], atol=1e-6)
    with pytest.raises(HearlessError, match="the microphone gave no sound"):
        next(heard)
    with pytest.raises(HearlessError, match="the microphone must be sampled at 1000 Hz or more, got 500 Hz"):
        of_microphone(LISTENER, 0.25, 500)


def test_a_microphone_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**more: object) -> None:
        raise PortAudioError("no device")

    fake = SimpleNamespace(InputStream=broken, PortAudioError=PortAudioError)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    with pytest.raises(HearlessError, match=r"no microphone can be opened at 16000 Hz \(no device\)"):
        next(of_microphone(LISTENER, 0.25))
    true = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return true(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(HearlessError, match=r"pip install 'hearless\[microphone\]' \(PortAudio library not found\)"):
        of_microphone(LISTENER, 0.25)
