"""Impulse responses of recording devices: read from a folder, known by their content, kept apart.

Source: paper 004 §II.C and Morocutti et al., "Device-robust acoustic scene classification via impulse response
augmentation" (EUSIPCO 2023), whose 66 responses are MicIRP's.  What differs from the published code: a response keeps
its gain in Hz at any rate (a file at 44.1 kHz used at 32 kHz is multiplied by 44.1 / 32; theirs is 2.8 dB quieter).

Where responses lie changes no number, what they hold does.  So whoever uses a folder also names its `content`, which
goes into the run's identity and is checked when the files are first read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from hearless import audio
from hearless.interfaces import HearlessError
from hearless.plural import plural

Samples = NDArray[np.float32]

MADE_UP = 12
MADE_UP_RATE_HZ = 48000
MADE_UP_TAPS = 1024
SILENT = 1e-6
ALIKE = 0.999
"""Two responses whose magnitudes correlate more than this are one device."""


@dataclass(frozen=True)
class Response:
    """One device: name, samples ``[time]`` at ``rate_hz``, SHA-256 of its file."""

    name: str
    samples: Samples
    rate_hz: int
    sha256: str


def files(folder: str | Path, names: Sequence[str] = ()) -> list[Path]:
    """Return the WAV files of a folder sorted by name, or those named, in the order named.

    Raises:
        HearlessError: no such folder, none in it, or a name that is not there.
    """
    found = {path.name: path for path in sorted(Path(folder).glob("*")) if path.suffix.lower() == ".wav"}
    if not found:
        what = "but it holds none" if Path(folder).is_dir() else "but there is no such folder"
        raise HearlessError(
            f"{folder} must be a folder of impulse responses (.wav), {what}; give the folder of MicIRP's "
            "responses, or leave out --set responses for made-up ones."
        )
    missing = [name for name in names if name not in found]
    if missing:
        raise HearlessError(f"{folder} must hold {', '.join(missing)}; it holds {', '.join(list(found)[:5])} ….")
    return [found[name] for name in names] if names else list(found.values())


def content(folder: str | Path, names: Sequence[str] = ()) -> str:
    """Return the hash of the responses' names and bytes, the ``content`` that classes ask for beside ``folder``."""
    told = "\n".join(f"{path.name} {audio.content_hash(path)}" for path in files(folder, names))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def read(folder: str | Path, rate_hz: int, names: Sequence[str] = (), expected: str = "") -> tuple[Response, ...]:
    """Read responses at a rate; an empty ``folder`` gives those of `made_up`.

    Args:
        folder: of WAV files at any rate.
        rate_hz: the rate to resample to (soxr VHQ), their gain in Hz kept.
        names: which files, in which order; empty takes all.
        expected: their `content`; empty is not checked.

    Raises:
        HearlessError: another content, or lists every file that is silent, empty or no sound.
    """
    if not str(folder):
        made = made_up()
        by_name = {response.name: response for response in made}
        chosen = [by_name[name] for name in names] if set(names) <= set(by_name) else None
        if chosen is None:
            raise HearlessError(
                f"responses must be among {', '.join(by_name)} without a folder, got {', '.join(names)}."
            )
        return tuple(resampled(response, rate_hz) for response in chosen or made)
    paths = files(folder, names)
    if expected and (found := content(folder, names)) != expected:
        raise HearlessError(
            f"the responses in {folder} must have content {expected}, got {found}: files were added, removed or "
            "changed since the recipe was made; restore them or make the recipe anew."
        )
    wrong, responses = [], []
    for path in paths:
        try:
            responses.append(resampled(_heard(path), rate_hz))
        except HearlessError as error:
            wrong.append(str(error))
    if wrong:
        listed = "\n  ".join(wrong[:20])
        what, them = plural(len(wrong), "impulse response"), "it" if len(wrong) == 1 else "them"
        raise HearlessError(f"{what} cannot be used; mend or remove {them}:\n  {listed}")
    return tuple(responses)


def _heard(path: Path) -> Response:
    samples, rate_hz = audio.read(path)
    if not np.abs(samples).max() > SILENT:
        raise HearlessError(f"{path} must hold an impulse response, got silence; remove it.")
    return Response(path.name, samples, rate_hz, audio.content_hash(path))


def resampled(response: Response, rate_hz: int) -> Response:
    """Return a response at another rate, with the same gain at every frequency that both rates hold."""
    if response.rate_hz == rate_hz:
        return response

    samples = soxr.resample(response.samples, response.rate_hz, rate_hz, quality=audio.QUALITY)
    scaled = np.asarray(samples * (response.rate_hz / rate_hz), dtype=np.float32)
    return Response(response.name, scaled, rate_hz, response.sha256)


def made_up() -> tuple[Response, ...]:
    """Return ``device01`` … ``device12``: responses out of thin air, for tests and demos without a download.

    Each is a band pass of its own edges with four resonances or dips of up to 9 dB, in minimum phase.
    """
    names = [f"device{number + 1:02d}" for number in range(MADE_UP)]
    return tuple(
        Response(name, minimum_phase(_made_up_db(seed)), MADE_UP_RATE_HZ, hashlib.sha256(name.encode()).hexdigest())
        for seed, name in enumerate(names)
    )


def _made_up_db(seed: int) -> NDArray[np.float64]:
    """Return a level in dB for each bin of twice `MADE_UP_TAPS`."""
    rng = np.random.default_rng([20, seed])
    octave = np.log2(np.maximum(np.fft.rfftfreq(2 * MADE_UP_TAPS, 1 / MADE_UP_RATE_HZ), 20.0))
    low, high = np.log2(rng.uniform(60, 400)), np.log2(rng.uniform(4000, 14000))
    level_db = -12.0 * np.maximum(low - octave, 0) - 18.0 * np.maximum(octave - high, 0)
    for _ in range(4):
        centre, width, gain_db = rng.uniform(low, high), rng.uniform(0.2, 0.8), rng.uniform(-9, 9)
        level_db += gain_db * np.exp(-(((octave - centre) / width) ** 2))
    return np.asarray(level_db)


def minimum_phase(level_db: NDArray[np.float64]) -> Samples:
    """Return the minimum-phase response ``[taps]`` of a level in dB ``[taps + 1]`` (real cepstrum, folded)."""
    cepstrum = np.fft.irfft(level_db * (np.log(10.0) / 20.0))
    half = len(cepstrum) // 2
    fold = np.concatenate([[1.0], np.full(half - 1, 2.0), [1.0], np.zeros(half - 1)])
    taps = np.fft.irfft(np.exp(np.fft.rfft(cepstrum * fold)))[:half]
    fade = np.cos(np.linspace(0, np.pi / 2, half // 4)) ** 2
    taps[-len(fade) :] *= fade
    return np.asarray(taps, dtype=np.float32)


def check_apart(pool: Sequence[Response], tested: Sequence[Response]) -> None:
    """Refuse an augmentation pool that holds the response of a test device: a leak.

    Files of the same bytes are one device, and so are responses of nearly the same magnitude (a copy that was cut,
    scaled, delayed or resampled).

    Raises:
        HearlessError: names each pair.
    """
    leaks = [f"{mine.name} is {theirs.name}" for theirs in tested for mine in pool if same_device(mine, theirs)]
    if leaks:
        raise HearlessError(
            f"leak: responses of test devices must not be in the augmentation pool, got {len(leaks)}: "
            f"{'; '.join(leaks[:5])}; name them in left_out."
        )


def same_device(one: Response, other: Response) -> bool:
    """Say whether two responses are one device's: the same bytes, or nearly the same magnitude."""
    if one.sha256 == other.sha256:
        return True
    rate_hz = min(one.rate_hz, other.rate_hz)
    first, second = (_magnitude(resampled(response, rate_hz)) for response in (one, other))
    return float(first @ second) > ALIKE


def _magnitude(response: Response) -> NDArray[np.float64]:
    """Return the magnitude spectrum, smoothed to 256 bins and scaled to length 1."""
    size = 2048 * max(1, -(-len(response.samples) // 2048))
    spectrum = np.abs(np.fft.rfft(response.samples.astype(np.float64), size))[:-1]
    bins = np.sqrt((spectrum.reshape(256, -1) ** 2).mean(axis=1))
    return np.asarray(bins / np.linalg.norm(bins))
