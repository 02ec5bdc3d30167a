"""What people and a stock recogniser could make out of recorded speech through each sensor: STOI, ESTOI, word errors.

What a sensor kept is brought back to 16 kHz and rounded to 16 bits, as a file that someone listens to: low-rate samples
by resampling, third-octave levels through the pseudo-inverse and Griffin-Lim.  Each clip's numbers are kept, so that a
killed study goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hearless import audio
from hearless.captures.low_rate import LowRate
from hearless.captures.third_octave import ThirdOctave
from hearless.datasets._table import read_table, refuse
from hearless.dsp.resample import resample
from hearless.interfaces import HearlessError
from hearless.lab import Lab
from hearless.playback import as_heard
from hearless.plural import plural
from hearless.privacy import StockRecogniser, intelligibility, word_error_rate, word_errors
from hearless.run import write_json
from hearless.spec import digest, spec
from hearless.statistics import Measure, interval, mean_interval

RATE_HZ = 16000
COLUMNS = {
    "path": ("path", "filename", "file", "file_name"), "transcript": ("transcript", "text", "sentence"),
    "speaker": ("speaker", "group", "speaker_id", "client_id"),
}  # fmt: skip


@dataclass(frozen=True)
class Spoken:
    """A recording of speech; ``transcript`` is empty where nobody wrote down what was said."""

    path: Path
    transcript: str
    speaker: str


def speech(folder: Path) -> list[Spoken]:
    """Return the recordings that ``meta.csv`` in a folder lists (path or filename, transcript, speaker).

    Raises:
        HearlessError: no such table, no column of paths, or files that are not there, all listed.
    """
    table = folder / "meta.csv"
    columns, rows, problems = read_table(table)
    found = {role: next((name for name in names if name in columns), "") for role, names in COLUMNS.items()}
    if not found["path"]:
        raise HearlessError(f"{table} must have a column path or filename, got {', '.join(columns)}; rename one.")
    made = [
        Spoken(_place(folder, row[found["path"]]), row.get(found["transcript"], ""), row.get(found["speaker"], ""))
        for row in rows
    ]
    refuse(table, problems + [f"no such file ({one.path})" for one in made if not one.path.is_file()], "mend it")
    return made


def _place(folder: Path, written: str) -> Path:
    tried = [folder / written, folder / "audio" / written, folder / "wav" / written]
    return next((path for path in tried if path.is_file()), tried[0])


def played(waveform: NDArray[Any], capture: int | str) -> NDArray[np.float32]:
    """Return how what a sensor kept sounds at 16 kHz, rounded to 16 bits.

    Args:
        waveform: ``[time]`` at 16 kHz.
        capture: a rate in Hz, or "fast" or "slow" third-octave levels.
    """
    low = isinstance(capture, int)
    sensor = spec(LowRate, rate_hz=capture, source_rate_hz=RATE_HZ) if low else spec(ThirdOctave, interval=capture)
    observation = sensor.build()(torch.from_numpy(np.asarray(waveform, np.float32))[None], RATE_HZ)
    made, rate_hz = as_heard(sensor, observation)
    back = resample(made, rate_hz, RATE_HZ)
    samples = np.zeros(len(waveform), np.float32)
    samples[: min(back.shape[1], len(samples))] = back[0, : len(samples)].numpy()
    rounded: NDArray[np.float32] = (np.clip(np.round(samples * 32768), -32768, 32767) / 32768).astype(np.float32)
    return rounded


def heard(lab: Lab, spoken: Sequence[Spoken], capture: int | str, max_active: int) -> dict[str, Measure]:
    """Return STOI, ESTOI and, where there are transcripts, the stock recogniser's word error rate of a sensor."""
    lab.say(f"listens to {plural(len(spoken), 'recording')} of speech at {capture}")
    recogniser = StockRecogniser(max_active=max_active)
    found = [_kept(lab, one, capture, recogniser, max_active) for one in spoken]
    speakers = [one.speaker or one.path.name for one in spoken]
    measures = {name: mean_interval([one[name] for one in found], speakers) for name in ("stoi", "estoi")}
    written = [i for i, one in enumerate(spoken) if one.transcript]
    if written:
        counts = word_errors([spoken[i].transcript for i in written], [found[i]["words"] for i in written])
        groups = [speakers[i] for i in written]
        measures["wer"] = interval(word_error_rate, counts.words, counts.errors[:, None], groups)
    return measures


def _kept(lab: Lab, one: Spoken, capture: int | str, recogniser: StockRecogniser, max_active: int) -> Mapping[str, Any]:
    """Return one recording's numbers through a sensor: found, or measured and kept."""
    known = [audio.content_hash(one.path), capture, bool(one.transcript), max_active]
    path = lab.runs / "speech" / f"{digest(known)}.json"
    if path.is_file():
        return dict(json.loads(path.read_text(encoding="utf-8")))
    clean, _ = audio.read(one.path, RATE_HZ)
    sound = played(clean, capture)
    try:
        clear = intelligibility(clean, sound, RATE_HZ)
    except HearlessError as error:
        raise HearlessError(f"{one.path}: {error}") from error
    words = recogniser.recognise(sound, RATE_HZ) if one.transcript else ""
    made = {"stoi": clear.stoi, "estoi": clear.estoi, "words": words}
    write_json(path, made)
    return made
