"""Ten kinds of environmental sound, made up on the spot: a data set that needs no download.

No paper: it is hearless's own, for the demo, the tests and a first look at what a low rate costs.  Every sound
is a low part (below 500 Hz), a high part and a background.  Knock and bell share one low part, wind and cricket
another: those pairs are told apart above 1 kHz only.  Footsteps and glass share a third and part at 500 Hz.
Level (20 dB), onset, pitch, tempo, the parts' balance and the background (0–20 dB below) vary; a faint high part
of another kind may sound along.  Two clips each come from one *recording*: its pitches and tempo.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from hearless.interfaces import Clip, HearlessError, Remote

EXAMPLE: dict[str, Any] = {"n_per_class": 4, "n_folds": 2, "duration_s": 0.5}

VERSION = 1
CLIPS_PER_RECORDING = 2
SPLIT_HZ = 500.0
PAIR_HZ = 1100.0
FADE_HZ = 60.0
LEVEL_DB = (-47.0, -27.0)
SNR_DB = (0.0, 20.0)
BALANCE_DB = (-15.0, 3.0)
DISTRACTOR_DB = (-28.0, -12.0)
HISS_DB = (-45.0, -15.0)

Samples = NDArray[np.float64]


class Scene(NamedTuple):
    """What a maker of sound draws from: the recording's generator, the clip's, and the time axis in s."""

    recording: np.random.Generator
    clip: np.random.Generator
    time_s: Samples

    @property
    def rate_hz(self) -> float:
        """The sampling rate in Hz."""
        return float(1 / (self.time_s[1] - self.time_s[0]))


Maker = Callable[[Scene], Samples]


def band(samples: Samples, rate_hz: float, low_hz: float, high_hz: float, slope_db: float = 0.0) -> Samples:
    """Keep ``[time]`` from ``low_hz`` to ``high_hz`` (edges 60 Hz wide), tilted by ``slope_db`` an octave."""
    spectrum = np.fft.rfft(samples)
    axis_hz = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    gain = np.clip((axis_hz - low_hz) / FADE_HZ, 0, 1) * np.clip((high_hz - axis_hz) / FADE_HZ, 0, 1)
    tilt = (np.maximum(axis_hz, 20.0) / 1000) ** (slope_db / (20 * np.log10(2)))
    return np.asarray(np.fft.irfft(spectrum * gain * tilt, len(samples)))


def unit(samples: Samples) -> Samples:
    """Scale ``[time]`` to an rms of 1; silence stays."""
    return samples / max(float(np.sqrt(np.mean(samples**2))), 1e-12)


def _noise(scene: Scene, low_hz: float, high_hz: float, slope_db: float = 0.0) -> Samples:
    """Return noise of a band, of rms 1."""
    return unit(band(scene.clip.standard_normal(len(scene.time_s)), scene.rate_hz, low_hz, high_hz, slope_db))


def _onsets(scene: Scene, gap_s: tuple[float, float], jitter: float) -> Samples:
    """Return onset times in s: a random start, the recording's tempo, each gap jittered by a share."""
    gap = scene.recording.uniform(*gap_s)
    steps = gap * (1 + jitter * scene.clip.uniform(-1, 1, int(scene.time_s[-1] / (gap * (1 - jitter))) + 1))
    start = scene.clip.uniform(0, min(gap, 0.5 * scene.time_s[-1]))
    onsets = start + np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(onsets[onsets < scene.time_s[-1]])


def _decays(scene: Scene, onsets: Samples, decay_s: float, attack_s: float = 0.002) -> Samples:
    """Return an envelope ``[time]`` that jumps at each onset (by 6 dB more or less) and decays."""
    envelope = np.zeros(len(scene.time_s))
    for onset in onsets:
        after = np.maximum(scene.time_s - onset, 0)
        envelope += scene.clip.uniform(0.5, 1) * np.exp(-after / decay_s) * (1 - np.exp(-after / attack_s))
    return envelope


def _partials(scene: Scene, base_hz: Samples | float, ratios: Samples, power: float) -> Samples:
    """Return partials of a (moving) pitch, the n-th weaker by ``n ** power``."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(base_hz, scene.time_s.shape)) / scene.rate_hz
    starts = scene.clip.uniform(0, 2 * np.pi, len(ratios))
    rows = [np.sin(r * phase + s) / (n + 1) ** power for n, (r, s) in enumerate(zip(ratios, starts, strict=True))]
    return np.asarray(np.sum(rows, axis=0))


def _swell(scene: Scene, low_hz: float, high_hz: float) -> Samples:
    """Return a slow swell ``[time]`` between 0.2 and 1.8."""
    pace_hz = scene.recording.uniform(low_hz, high_hz)
    return 1 + 0.8 * np.sin(2 * np.pi * pace_hz * scene.time_s + scene.clip.uniform(0, 2 * np.pi))


def _thumps(scene: Scene) -> Samples:
    tone = _partials(scene, scene.recording.uniform(90, 220), np.array([1.0, 1.6]), 1.0)
    return _decays(scene, _onsets(scene, (0.25, 0.8), 0.3), 0.06) * tone


def _steps(scene: Scene) -> Samples:
    tone = _noise(scene, 60, scene.recording.uniform(150, 300))
    return _decays(scene, _onsets(scene, (0.35, 0.75), 0.1), 0.09, 0.02) * tone


def _gusts(scene: Scene) -> Samples:
    return _swell(scene, 0.2, 1.0) * _noise(scene, 40, scene.recording.uniform(250, 480), -4)


def _hum(scene: Scene) -> Samples:
    base_hz = scene.recording.uniform(45, 110) * (1 + 0.02 * _swell(scene, 0.3, 2))
    return _partials(scene, base_hz, np.arange(1.0, 9.0), 0.6)


def _wail(scene: Scene) -> Samples:
    base_hz = scene.recording.uniform(220, 330) * (1 + 0.25 * _swell(scene, 0.4, 2.0))
    return _partials(scene, base_hz, np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 0.7)


def _rumble(scene: Scene) -> Samples:
    return _noise(scene, 30, scene.recording.uniform(120, 320), -3)


def _drips(scene: Scene) -> Samples:
    onsets = scene.clip.uniform(0, scene.time_s[-1], int(scene.recording.uniform(15, 40) * scene.time_s[-1]))
    return _decays(scene, onsets, 0.015) * _noise(scene, 180, 500)


def _clicks(scene: Scene) -> Samples:
    return _decays(scene, _onsets(scene, (0.25, 0.8), 0.3), 0.02) * _noise(scene, 1100, 5000, -3)


def _ring(scene: Scene) -> Samples:
    tone = _partials(scene, scene.recording.uniform(1300, 2200), np.array([1, 1.51, 2.1, 2.9]), 0.8)
    return _decays(scene, _onsets(scene, (0.25, 0.8), 0.3), 0.25) * tone


def _hiss(scene: Scene) -> Samples:
    return _swell(scene, 0.2, 1.0) * _noise(scene, 1100, 7000, -5)


def _chirr(scene: Scene) -> Samples:
    pulse = np.sin(2 * np.pi * scene.recording.uniform(18, 45) * scene.time_s) > scene.recording.uniform(-0.3, 0.5)
    return pulse * _partials(scene, scene.recording.uniform(3000, 5500), np.array([1.0]), 1) * _swell(scene, 0.3, 1.5)


def _scrape(scene: Scene) -> Samples:
    return _decays(scene, _onsets(scene, (0.35, 0.75), 0.1), 0.06, 0.02) * _noise(scene, 500, 2500, -4)


def _shatter(scene: Scene) -> Samples:
    ratios = scene.recording.uniform(0.4, 5, 9)
    return _decays(scene, _onsets(scene, (0.35, 0.75), 0.1), 0.12) * _partials(scene, 1500.0, ratios, 0.2)


def _whistle(scene: Scene) -> Samples:
    base_hz = scene.recording.uniform(2000, 4000) * (1 + 0.2 * _swell(scene, 4, 12))
    return _decays(scene, _onsets(scene, (0.2, 0.6), 0.4), 0.08, 0.02) * _partials(
        scene, base_hz, np.array([1, 2.0]), 2
    )


def _patter(scene: Scene) -> Samples:
    return _noise(scene, 500, 8000, -2)


KINDS: dict[str, tuple[Maker, Maker, float]] = {
    "bell": (_thumps, _ring, PAIR_HZ),
    "bird": (_rumble, _whistle, SPLIT_HZ),
    "cricket": (_gusts, _chirr, PAIR_HZ),
    "engine": (_hum, _hiss, SPLIT_HZ),
    "footsteps": (_steps, _scrape, SPLIT_HZ),
    "glass": (_steps, _shatter, SPLIT_HZ),
    "knock": (_thumps, _clicks, PAIR_HZ),
    "rain": (_drips, _patter, SPLIT_HZ),
    "siren": (_wail, _wail, SPLIT_HZ),
    "wind": (_gusts, _hiss, PAIR_HZ),
}
"""Each kind's low part, high part and where the high part begins in Hz."""


def render(label: str, index: int, *, seed: int, rate_hz: int, duration_s: float) -> Samples:
    """Return the samples ``[time]`` of one clip, within ±1.

    Args:
        label: the kind of sound.
        index: the clip's number in its kind; two clips follow each other in one recording.
        seed: the data set's seed.
        rate_hz: the sampling rate in Hz.
        duration_s: the length in s.
    """
    kinds = list(KINDS)
    key = [seed, kinds.index(label)]
    clip = np.random.default_rng([*key, 1, index])
    scene = Scene(
        np.random.default_rng([*key, 0, index // CLIPS_PER_RECORDING]),
        clip,
        np.arange(round(duration_s * rate_hz)) / rate_hz,
    )
    low, high, edge_hz = KINDS[label]
    other = KINDS[kinds[int(clip.integers(len(kinds)))]]
    sound = unit(band(low(scene), rate_hz, 0, SPLIT_HZ))
    sound += _gain(clip, BALANCE_DB) * unit(band(high(scene), rate_hz, edge_hz, rate_hz))
    sound += _gain(clip, DISTRACTOR_DB) * unit(band(other[1](scene), rate_hz, PAIR_HZ, rate_hz))
    sound += _gain(clip, HISS_DB) * clip.standard_normal(len(sound))
    sound += _gain(clip, (-SNR_DB[1], -SNR_DB[0])) * _noise(scene, 20, rate_hz, clip.uniform(-6, -3))
    return np.clip(_gain(clip, LEVEL_DB) * sound, -1, 1 - 2**-15)


def _gain(rng: np.random.Generator, range_db: tuple[float, float]) -> float:
    """Draw a factor from a range in dB."""
    return float(10 ** (rng.uniform(*range_db) / 20))


class Synthetic:
    """Ten kinds of made-up environmental sound.

    Args:
        n_per_class: clips a class; two a recording, and at least one recording a fold.
        seed: the seed of everything drawn.
        rate_hz: the files' rate, at least 4000 Hz.
        duration_s: the files' length in s, 0.25 to 60.
        n_folds: folds, at least 2; recordings are dealt to them in turn.

    Raises:
        HearlessError: an argument out of range.
    """

    def __init__(
        self, *, n_per_class: int = 32, seed: int = 0, rate_hz: int = 16000, duration_s: float = 2.0, n_folds: int = 4
    ) -> None:
        if n_folds < 2 or n_per_class < CLIPS_PER_RECORDING * (n_folds - 1) + 1:
            raise HearlessError(
                f"n_per_class must give every fold a recording of {CLIPS_PER_RECORDING} clips and n_folds be at least "
                f"2, got {n_per_class} clips and {n_folds} folds."
            )
        if rate_hz < 4000 or not 0.25 <= duration_s <= 60 or seed < 0:
            raise HearlessError(
                "rate_hz must be at least 4000, duration_s from 0.25 to 60 and seed at least 0, "
                f"got {rate_hz}, {duration_s} and {seed}."
            )
        self.labels: tuple[str, ...] | None = tuple(KINDS)
        self.multi_label: bool | None = False
        self.licence = "CC0 1.0 (made by hearless)"
        self.source = "made by hearless.datasets.synthetic; nothing to download"
        self.remotes: tuple[Remote, ...] = ()
        self._n_per_class, self._n_folds = n_per_class, n_folds
        self._seed, self._rate_hz, self._duration_s = seed, rate_hz, float(duration_s)

    def _require_own_folder(self, root: Path) -> None:
        """Refuse to write among a user's own sounds: they would become a class of theirs."""
        others = (
            [path.name for path in root.iterdir() if not path.name.startswith(("synthetic-", "."))]
            if root.is_dir()
            else []
        )
        if others:
            raise HearlessError(
                f"made-up sounds need a folder of their own, but {root} holds {', '.join(sorted(others)[:3])}; "
                "leave --root out, or name an empty one."
            )

    def clips(self, root: Path) -> list[Clip]:
        """Write the files that are missing below ``root`` (16-bit WAV) and return the clips.

        Two processes may do so at once: a file appears whole or not at all.

        Raises:
            HearlessError: the folder cannot be written to.
        """
        self._require_own_folder(Path(root))
        folder = Path(root) / f"synthetic-v{VERSION}-{self._rate_hz}hz-{self._duration_s:g}s-seed{self._seed}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return [self._clip(folder, label, index) for label in KINDS for index in range(self._n_per_class)]
        except OSError as error:
            raise HearlessError(
                f"{folder} must be a folder to write sounds to ({error}); give another root."
            ) from error

    def _clip(self, folder: Path, label: str, index: int) -> Clip:
        """Return one clip, its file written where it is missing."""
        recording = index // CLIPS_PER_RECORDING
        path = folder / f"{label}-{index:04d}.wav"
        if not path.is_file():
            samples = render(label, index, seed=self._seed, rate_hz=self._rate_hz, duration_s=self._duration_s)
            _write(path, samples, self._rate_hz)
        return Clip(
            id=path.stem,
            path=path,
            labels=(label,),
            fold=str(recording % self._n_folds + 1),
            recording=f"{label}-recording-{recording:04d}",
        )


def _write(path: Path, samples: Samples, rate_hz: int) -> None:
    """Write a 16-bit WAV under a name of its own, then put it in place at once."""
    part = path.with_name(f"{uuid.uuid4().hex}.part")
    try:
        soundfile.write(part, samples, rate_hz, subtype="PCM_16", format="WAV")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
