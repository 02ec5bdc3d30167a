"""A live stream, heard window by window: a decision every hop, smoothed, and how long each took; no torch.

Sound comes as raw 16-bit samples on a stream, from a microphone, or from a file.  A decision is the mean score of the
last windows; its latency is counted from the moment that the last sample it needs was there.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from hearless import audio
from hearless.interfaces import HearlessError
from hearless.predict import Listener, score

FULL_SCALE = 32768.0
SAMPLE_BYTES = 2
MICROPHONE_HZ = 16000
"""Rate that a microphone is opened at, unless the listener wants more."""

WAIT_S = 10.0
"""A microphone that gives no sound for so long is broken."""

Floats = npt.NDArray[np.float32]
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is heard at a moment of the stream.

    Attributes:
        time_s: where in the stream its last window ends.
        scores: the mean over the last windows ``[class]``.
        named: the classes said to be there; none: it is none of these.
        latency_s: from having the window's last sample to this decision.
    """

    time_s: float
    scores: Floats
    named: tuple[str, ...]
    latency_s: float


@dataclass(frozen=True)
class Latency:
    """How long decisions took: the median, what 95 of 100 stayed below, and the longest, in s."""

    n: int
    median_s: float
    most_s: float
    longest_s: float


def latency(taken_s: Sequence[float]) -> Latency:
    """Return how long decisions took; zeros where there was none."""
    if not taken_s:
        return Latency(0, 0.0, 0.0, 0.0)
    return Latency(len(taken_s), *(float(np.quantile(taken_s, share)) for share in (0.5, 0.95, 1.0)))


def listen(
    listener: Listener, blocks: Iterable[Floats], *, hop_s: float, smooth: int = 1, clock: Clock = time.perf_counter
) -> Iterator[Decision]:
    """Yield a decision every hop from the first whole window on; a stream shorter than a window gets one, padded.

    Args:
        listener: who classifies.
        blocks: samples ``[time]`` at the listener's rate, of any lengths, as they come.
        hop_s: seconds between decisions; what lies between windows of a hop that is longer than they are is skipped.
        smooth: how many windows' scores a decision is the mean of.
        clock: tells seconds.

    Raises:
        HearlessError: an argument that breaks a rule, or samples that are not finite.
    """
    size, hop = round(listener.window_s * listener.rate_hz), round(hop_s * listener.rate_hz)
    if hop < 1:
        raise HearlessError(f"hop must be at least one sample, {1 / listener.rate_hz:g} s, got {hop_s:g}.")
    if smooth < 1:
        raise HearlessError(f"smooth must be at least 1 window, got {smooth}.")
    return _decisions(listener, blocks, size, hop, smooth, clock)


def _decisions(
    listener: Listener, blocks: Iterable[Floats], size: int, hop: int, smooth: int, clock: Clock
) -> Iterator[Decision]:
    held, start, skip, last = np.empty(0, np.float32), 0, 0, deque[Floats](maxlen=smooth)

    def decide(samples: Floats, end: int, came_s: float) -> Decision:
        last.append(score(listener, [samples])[0])
        mean = np.stack(last).mean(0, dtype=np.float64).astype(np.float32)
        named = tuple(label for label, there in zip(listener.labels, listener.named(mean), strict=True) if there)
        return Decision(end / listener.rate_hz, mean, named, clock() - came_s)

    came_s = clock()
    for block in blocks:
        came_s = clock()
        if not np.isfinite(block).all():
            raise HearlessError("a stream must hold finite samples, got NaN or infinity; check what sends it.")
        held, skip = np.concatenate([held, block[skip:]]), max(0, skip - len(block))
        while len(held) >= size:
            yield decide(held[:size], start + size, came_s)
            skip = max(0, hop - len(held))
            held, start = held[hop:], start + hop
    if not start and len(held):
        yield decide(np.pad(held, (0, size - len(held))), len(held), came_s)


def of_file(path: str | Path, listener: Listener, hop_s: float) -> Iterator[Floats]:
    """Yield a file's sound at the listener's rate, a hop at a time.

    Raises:
        HearlessError: it cannot be read, or was recorded below the listener's rate.
    """
    _check_rate(listener, audio.info(path).rate_hz, str(path))
    return audio.blocks(path, listener.rate_hz, hop_s)


def of_stream(stream: BinaryIO, rate_hz: int, listener: Listener, hop_s: float) -> Iterator[Floats]:
    """Yield a stream of 16-bit samples (mono, little-endian, no header) at the listener's rate, as they come.

    Raises:
        HearlessError: a rate below the listener's, or a stream that is a sound file or ends within a sample.
    """
    _check_rate(listener, rate_hz, "the stream")
    return audio.resampled(_samples(stream, max(1, round(hop_s * rate_hz))), rate_hz, listener.rate_hz)


def _samples(stream: BinaryIO, n_samples: int) -> Iterator[Floats]:
    first = True
    while part := stream.read(SAMPLE_BYTES * n_samples):
        if first and part[:4] in (b"RIFF", b"fLaC", b"OggS"):
            raise HearlessError(
                "the stream must be bare 16-bit samples, got a sound file; send samples alone or name the file: "
                "--from FILE."
            )
        first = False
        if len(part) % SAMPLE_BYTES:
            raise HearlessError("the stream ended within a sample; it must be 16-bit samples, mono, little-endian.")
        yield (np.frombuffer(part, "<i2") / FULL_SCALE).astype(np.float32)


def of_microphone(listener: Listener, hop_s: float, rate_hz: int | None = None) -> Iterator[Floats]:
    """Yield what the default microphone hears at the listener's rate, as it comes, for ever.

    Raises:
        HearlessError: sounddevice or a microphone is missing, or it gives no sound.
    """
    opened_hz = max(listener.rate_hz, MICROPHONE_HZ) if rate_hz is None else rate_hz
    _check_rate(listener, opened_hz, "the microphone")
    return audio.resampled(_recorded(_sounddevice(), opened_hz, hop_s), opened_hz, listener.rate_hz)


def _sounddevice() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: PortAudio, the library behind it
        raise HearlessError(
            f"listening to a microphone needs sounddevice and the system's PortAudio (libportaudio2): "
            f"pip install 'hearless[microphone]' ({error})."
        ) from error
    return sounddevice


def _recorded(sounddevice: Any, rate_hz: int, hop_s: float) -> Iterator[Floats]:
    heard: Queue[Floats] = Queue()

    def keep(samples: Floats, n_samples: int, at: Any, status: Any) -> None:
        heard.put(samples[:, 0].copy())

    size = max(1, round(hop_s * rate_hz))
    try:
        with sounddevice.InputStream(
            samplerate=rate_hz, channels=1, dtype="float32", blocksize=size, callback=keep
        ):  # fmt: skip
            while True:
                yield heard.get(timeout=WAIT_S + hop_s)
    except Empty as error:
        raise HearlessError(f"the microphone gave no sound for {WAIT_S:g} s; check that it is on.") from error
    except sounddevice.PortAudioError as error:
        raise HearlessError(
            f"no microphone can be opened at {rate_hz} Hz ({error}); plug one in or name --rate."
        ) from error


def _check_rate(listener: Listener, rate_hz: int, what: str) -> None:
    lowest = max(1, listener.minimum_rate_hz)
    if rate_hz < lowest:
        raise HearlessError(
            f"{what} must be sampled at {lowest} Hz or more, got {rate_hz} Hz; the listener hears what lies above."
        )
