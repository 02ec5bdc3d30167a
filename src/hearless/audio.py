"""Sound files in, float32 mono samples out.

Decoding is libsndfile's (WAV, FLAC, OGG, MP3; any rate, width and channel count), resampling is soxr at its
very high quality, channels are mixed by their mean.  The content decides the format, not the file's
extension: a FLAC file called ``.wav`` reads as well.  What is wrong with a file is an error that names it;
nothing is padded, repaired or skipped in silence.

Two limits are the formats' own: an OGG file that lacks its last page counts as truncated, also where a
recorder never wrote one; an MP3 file without a length header can be cut unnoticed, at its end.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from hearless.interfaces import HearlessError

QUALITY = "VHQ"
STREAMED_BYTES = (0x7FFFFFFF, 0xFFFFFFFF)
DECODE_SAMPLES = 1 << 16
UNKNOWN_SAMPLES = 1 << 62

WRITTEN = (".wav", ".flac", ".ogg")
"""What `write` makes."""

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a sound file's header says: rate in Hz, samples per channel, channels."""

    rate_hz: int
    n_samples: int
    n_channels: int

    @property
    def duration_s(self) -> float:
        """The length in seconds."""
        return self.n_samples / self.rate_hz


def info(path: str | os.PathLike[str]) -> AudioInfo:
    """Return what a file's header says, without decoding it.

    Raises:
        HearlessError: the file is missing, empty, truncated, of no length or no sound file.
    """
    with _opened(path) as file:
        return AudioInfo(int(file.samplerate), int(file.frames), int(file.channels))


def read(
    path: str | os.PathLike[str], rate_hz: int | None = None, start_s: float = 0.0, duration_s: float | None = None
) -> tuple[Samples, int]:
    """Read a file, or an excerpt of it, as mono.

    Args:
        path: the sound file.
        rate_hz: the rate to resample to; None keeps the file's own.
        start_s: where the excerpt starts, in s, to the file's nearest sample.
        duration_s: its length in s; None reads to the end, and the end of the file ends every excerpt.

    Returns:
        float32 ``[time]`` and its rate in Hz.

    Raises:
        HearlessError: see `info`; also samples that are NaN or Inf, a start beyond the end, a rate below 1 Hz.
    """
    with _opened(path) as file:
        own_hz = int(file.samplerate)
        first, count = _excerpt(path, file, start_s, duration_s)
        decoded = list(_decoded(path, file, first, count))
    samples = np.concatenate(decoded)
    target_hz = _target(path, rate_hz, own_hz)
    return (samples if target_hz == own_hz else soxr.resample(samples, own_hz, target_hz, quality=QUALITY)), target_hz


def blocks(path: str | os.PathLike[str], rate_hz: int | None, seconds: float) -> Iterator[Samples]:
    """Decode and resample a file of any length in constant memory.

    Args:
        path: the sound file.
        rate_hz: the rate to resample to; None keeps the file's own.
        seconds: the length of a block in s; the last one may be shorter.

    Yields:
        float32 ``[time]``; joined they equal what `read` returns.

    Raises:
        HearlessError: as `read`, when the fault is reached.
    """
    with _opened(path) as file:
        target_hz = _target(path, rate_hz, int(file.samplerate))
        size = round(seconds * target_hz) if np.isfinite(seconds) else 0
        if size < 1:
            raise HearlessError(f"seconds must hold at least one sample at {target_hz} Hz, got {seconds!r}.")
        stream = resampled(_decoded(path, file, 0, int(file.frames)), int(file.samplerate), target_hz)
        yield from _regrouped(stream, size)


def write(path: str | os.PathLike[str], samples: NDArray[Any], rate_hz: int) -> Path:
    """Write samples ``[time]`` of -1 … 1 in 16 bits: WAV, FLAC or OGG by the extension; return the path.

    Raises:
        HearlessError: no ``[time]``, not finite, beyond full scale, an unknown extension, or a place that cannot be
            written to.
    """
    file = Path(path)
    if samples.ndim != 1 or not np.isfinite(samples).all() or (np.abs(samples) > 1.0).any():
        raise HearlessError(f"{file}: samples must be [time], finite, -1 to 1, got shape {samples.shape}; scale them.")
    if file.suffix.lower() not in WRITTEN:
        raise HearlessError(f"{file} must end in one of {', '.join(WRITTEN)}, got {file.suffix!r}; name another file.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, samples, rate_hz)
    except (OSError, soundfile.SoundFileError) as error:
        raise HearlessError(f"{file} could not be written: {error}; free some space or name another file.") from error
    return file


def content_hash(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, in hex.

    Raises:
        HearlessError: the file is missing or cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise HearlessError(f"{path} cannot be read ({error.strerror}); check the path and its permissions.") from error


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a sound file, every fault that shows before decoding turned into an error."""
    _require_bytes(Path(path))
    try:
        file = soundfile.SoundFile(os.fspath(path))
    except (soundfile.SoundFileError, TypeError, OSError) as error:
        raise HearlessError(
            f"{path} is not a sound file that can be read ({error}); give WAV, FLAC, OGG or MP3, "
            "or convert it to one of them."
        ) from error
    with file:
        if file.frames < 1:
            raise HearlessError(f"{path} must hold sound, got 0 samples; record it again or leave it out.")
        if file.frames >= UNKNOWN_SAMPLES:
            raise HearlessError(f"{path} must state its length, its header gives none; encode it again, to a file.")
        _require_whole(path, file.extra_info)
        yield file


def _require_bytes(path: Path) -> None:
    """Refuse what is no file, and a file of no bytes."""
    if path.is_dir():
        raise HearlessError(f"{path} must be a sound file, got a folder; give a file in it.")
    if not path.is_file():
        raise HearlessError(f"{path} must be a sound file, but it does not exist; check the path.")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise HearlessError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    if empty:
        raise HearlessError(f"{path} must hold sound, got 0 bytes (an empty file); copy or download it again.")


def _require_whole(path: str | os.PathLike[str], log: str) -> None:
    """Refuse a file whose header promises more than its bytes hold, from libsndfile's account of opening it."""
    promised = re.search(r"^data ?: (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    short = promised and int(promised[2]) < int(promised[1]) and int(promised[1]) not in STREAMED_BYTES
    if short or "lacks an end-of-stream bit" in log:
        said = (
            f"its header says {promised[1]} bytes of sound, it holds {promised[2]}"
            if promised
            else "its end is missing"
        )
        raise HearlessError(f"{path} is truncated: {said}; copy or download it again.")


def _excerpt(path: str | os.PathLike[str], file: Any, start_s: float, duration_s: float | None) -> tuple[int, int]:
    """Return the first sample and the number of samples of an excerpt."""
    length_s = file.frames / file.samplerate
    if not 0 <= start_s < np.inf or (duration_s is not None and not 0 < duration_s < np.inf):
        raise HearlessError(f"{path}: start_s must be ≥ 0 and duration_s > 0, got {start_s!r} and {duration_s!r}.")
    first = round(start_s * file.samplerate)
    if first >= file.frames:
        raise HearlessError(
            f"{path}: start_s must lie before the end at {length_s:.3f} s, got {start_s!r}; mend the clip's start."
        )
    rest = file.frames - first
    return first, rest if duration_s is None else min(rest, max(1, round(duration_s * file.samplerate)))


def _decoded(path: str | os.PathLike[str], file: Any, first: int, count: int) -> Iterator[Samples]:
    """Yield mono samples of an open file, checked for damage and for NaN and Inf."""
    done = 0
    while done < count:
        try:
            if done == 0 and first:
                file.seek(first)
            part = file.read(min(DECODE_SAMPLES, count - done), dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            raise HearlessError(f"{path} is truncated or damaged ({error}); copy or download it again.") from error
        if not len(part):
            raise HearlessError(
                f"{path} is truncated: its header says {file.frames} samples, decoding ends after {first + done}; "
                "copy or download it again."
            )
        mono = part[:, 0] if part.shape[1] == 1 else part.mean(axis=1, dtype=np.float32)
        _require_finite(path, mono, first + done, file.samplerate)
        done += len(part)
        yield mono


def _require_finite(path: str | os.PathLike[str], samples: Samples, first: int, rate_hz: int) -> None:
    """Refuse NaN and Inf, naming the first."""
    bad = np.flatnonzero(~np.isfinite(samples))
    if len(bad):
        raise HearlessError(
            f"{path} must hold finite samples, got {samples[bad[0]]} at {(first + int(bad[0])) / rate_hz:.4f} s; "
            "export the file again or leave it out."
        )


def _target(path: str | os.PathLike[str], rate_hz: int | None, own_hz: int) -> int:
    """Return the rate to deliver."""
    if rate_hz is not None and rate_hz < 1:
        raise HearlessError(
            f"{path}: rate_hz must be at least 1, got {rate_hz!r}; leave it out for the file's own rate."
        )
    return own_hz if rate_hz is None else rate_hz


def resampled(parts: Iterator[Samples], own_hz: int, target_hz: int) -> Iterator[Samples]:
    """Resample a stream of mono parts as they come; joined, the result equals resampling them joined."""
    if own_hz == target_hz:
        yield from parts
        return
    stream = soxr.ResampleStream(own_hz, target_hz, 1, dtype="float32", quality=QUALITY)
    for part in parts:
        yield stream.resample_chunk(part)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _regrouped(parts: Iterator[Samples], size: int) -> Iterator[Samples]:
    """Cut a stream of parts into blocks of ``size``, the last one shorter."""
    held: list[Samples] = []
    n_held = 0
    for part in parts:
        held.append(part)
        n_held += len(part)
        if n_held >= size:
            joined = np.concatenate(held)
            whole = n_held - n_held % size
            yield from np.split(joined[:whole], whole // size)
            held, n_held = [joined[whole:]], n_held - whole
    if n_held:
        yield np.concatenate(held)
