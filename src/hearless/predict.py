"""Classify sound files and folders with anything that can listen; no torch.

A `Listener` is a function from waveforms to logits and what must be known to feed it: an exported artifact or a
torch pipeline in a wrapper.  Files are streamed in windows, so a long one costs no more memory than a short one, and
a broken one becomes an entry that says why while the rest go on.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from hearless import audio, calibration
from hearless.interfaces import HearlessError

EXTENSIONS = (".wav", ".flac", ".ogg", ".mp3")
COLUMNS = ("path", "start_s", "end_s", "label", "score", "named", "error")
BLOCK_S = 10.0
BATCH_S = 30.0

Floats = npt.NDArray[np.float32]
Progress = Callable[[int, int, Path], None]


@dataclass(frozen=True)
class Listener:
    """Whoever classifies, and what it needs to hear.

    Attributes:
        classify: float32 waveforms ``[n, time]`` and their rate in Hz → logits ``[n, class]``.
        labels: the classes, in logit order.
        rate_hz: the rate at which ``classify`` wants the waveform.
        window_s: how much it hears at once.
        multi_label: any number of classes at once (sigmoid), or exactly one (softmax).
        minimum_rate_hz: a file recorded below this rate is an error.
        min_window_s: the shortest remainder it may hear alone; a shorter one is zero-padded to the window.
        sensor: what the sensor keeps, in words.
        least_s: a shorter file is an error: padding alone would decide.
        thresholds: of any number of classes: the score of each from which on it is said to be there; empty: 0.5.
        none_below: of exactly one class: a best score below it is none of these.
    """

    classify: Callable[[Floats, int], npt.NDArray[Any]]
    labels: tuple[str, ...]
    rate_hz: int
    window_s: float
    multi_label: bool = False
    minimum_rate_hz: int = 0
    min_window_s: float = math.inf
    sensor: str = ""
    least_s: float = 0.0
    thresholds: tuple[float, ...] = ()
    none_below: float = 0.0

    def named(self, scores: Floats) -> npt.NDArray[np.bool_]:
        """Return which classes are said to be there ``[…, class]``, by scores of the same shape."""
        return calibration.named(
            scores, multi_label=self.multi_label, thresholds=self.thresholds, none_below=self.none_below
        )


@dataclass(frozen=True, slots=True)
class Window:
    """The scores ``[class]`` of one stretch of a file, and the classes said to be there."""

    start_s: float
    end_s: float
    scores: Floats
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FilePrediction:
    """What the listener says of one file, or why it could not.

    Attributes:
        path: the file, as given.
        error: why there are no scores, or None.
        seconds: how long the sound is; 0 with an error.
        scores: probabilities ``[class]``, the mean over windows; empty with an error.
        labels: the classes, in score order.
        top: how many labels a table shows; None shows all.
        windows: one a window, or None unless asked for.
        named: the classes said to be there; none: it is none of these.
    """

    path: Path
    error: str | None
    seconds: float
    scores: Floats
    labels: tuple[str, ...]
    top: int | None = None
    windows: list[Window] | None = None
    named: tuple[str, ...] = ()

    def ranked(self, scores: Floats | None = None) -> dict[str, float]:
        """Return the ``top`` labels with their scores, best first: the file's, or a window's if given."""
        shown = self.scores if scores is None else scores
        order = np.argsort(-shown, kind="stable")[: self.top]
        return {self.labels[index]: float(shown[index]) for index in order}


@dataclass(slots=True)
class _Mean:
    """A running mean over windows, each counting by its length, and the windows themselves where they are kept."""

    total: npt.NDArray[np.float64]
    heard_s: float = 0.0
    end_s: float = 0.0
    kept: list[Window] = field(default_factory=list)

    def add(self, windows: list[Window], keep: bool) -> None:
        for window in windows:
            self.total += window.scores * (window.end_s - window.start_s)
            self.heard_s += window.end_s - window.start_s
        self.end_s = windows[-1].end_s
        if keep:
            self.kept += windows


def files(paths: Iterable[str | Path] | str | Path) -> list[Path]:
    """Return the sound files that ``paths`` name, sorted, each once.

    A folder gives every file below it with an extension of `EXTENSIONS`, hidden ones left out; a file is taken
    whatever its extension.  What does not exist stays in the list, so that `predict` reports it.
    """
    named = [paths] if isinstance(paths, (str, Path)) else paths
    found = (path for name in named for path in _expand(Path(name)))
    unique = {os.path.normpath(path.absolute()): path for path in found}
    return sorted(unique.values())


def _expand(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [
        file
        for file in path.rglob("*")
        if file.suffix.lower() in EXTENSIONS and not file.name.startswith(".") and not file.is_dir()
    ]


def predict(
    listener: Listener,
    paths: Iterable[str | Path] | str | Path,
    *,
    hop_s: float | None = None,
    top: int | None = None,
    batch: int = 16,
    windows: bool = False,
    on_progress: Progress | None = None,
) -> Iterator[FilePrediction]:
    """Classify files and folders, one `FilePrediction` after the other, in the order of `files`.

    Args:
        listener: who classifies.
        paths: files and folders.
        hop_s: seconds between the starts of windows; None: the window, so that each sample is heard once.
        top: how many labels tables show; None shows all.
        batch: windows classified at once, at most; they never hold more than `BATCH_S` unless one alone does.
        windows: keep the scores of each window as well.
        on_progress: called after each file with files done, files in all and the path.

    Raises:
        HearlessError: an argument breaks a rule, or ``paths`` name no sound file at all.  A file that cannot be
            read raises nothing: its prediction carries the error.
    """
    hop_s = listener.window_s if hop_s is None else hop_s
    _check(listener, hop_s, top, batch)
    named = [paths] if isinstance(paths, (str, Path)) else list(paths)
    return _predict_each(listener, found(named), hop_s, top, batch, windows, on_progress)


def found(named: Sequence[str | Path]) -> list[Path]:
    """Return what `files` does, at least one.

    Raises:
        HearlessError: they name no sound file at all.
    """
    sounds = files(named)
    if not sounds:
        places = ", ".join(str(name) for name in named)
        raise HearlessError(f"no sound file ({' '.join(EXTENSIONS)}) in {places or 'an empty list'}; name the files.")
    return sounds


def _check(listener: Listener, hop_s: float, top: int | None, batch: int) -> None:
    if not 1 <= round(hop_s * listener.rate_hz) <= round(listener.window_s * listener.rate_hz):
        raise HearlessError(
            f"hop_s must be above 0 and at most the window of {listener.window_s:g} s, got {hop_s:g}; "
            "a longer hop would leave sound unheard."
        )
    for name, value in (("top", top), ("batch", batch)):
        if value is not None and value < 1:
            raise HearlessError(f"{name} must be at least 1, got {value}.")


def _predict_each(
    listener: Listener,
    sounds: list[Path],
    hop_s: float,
    top: int | None,
    batch: int,
    windows: bool,
    on_progress: Progress | None,
) -> Iterator[FilePrediction]:
    nothing = np.empty(0, dtype=np.float32)
    for done, path in enumerate(sounds, start=1):
        try:
            mean = _hear(listener, path, hop_s, batch, windows)
            scores = (mean.total / mean.heard_s).astype(np.float32)
            kept = mean.kept if windows else None
            named = _names(listener, scores)
            prediction = FilePrediction(path, None, mean.end_s, scores, listener.labels, top, kept, named)
        except Exception as error:  # whatever a decoder or a runtime raises costs this file alone
            kept, why = [] if windows else None, str(error)
            if not isinstance(error, (HearlessError, OSError)):
                why = f"{path}: {type(error).__name__}: {error}"
            prediction = FilePrediction(path, why, 0.0, nothing, listener.labels, top, kept)
        yield prediction
        if on_progress is not None:
            on_progress(done, len(sounds), path)


def _hear(listener: Listener, path: Path, hop_s: float, batch: int, keep: bool) -> _Mean:
    """Stream one file through the listener and return its mean scores."""
    _check_file(listener, path)
    rate_hz = listener.rate_hz
    size, hop = round(listener.window_s * rate_hz), round(hop_s * rate_hz)
    blocks = audio.blocks(path, rate_hz, max(BLOCK_S, listener.window_s))
    mean = _Mean(np.zeros(len(listener.labels)))
    for group in _batches(_windows(blocks, size, hop), min(batch, max(1, int(BATCH_S / listener.window_s)))):
        spans = [(start / rate_hz, (start + len(samples)) / rate_hz) for start, samples in group]
        scores = score(listener, [samples for _, samples in group])
        mean.add([Window(*s, row, _names(listener, row)) for s, row in zip(spans, scores, strict=True)], keep)
        group.clear()  # else two batches are in memory while the next is gathered
    if mean.heard_s == 0:
        raise HearlessError(f"{path}: a sound file must hold at least one sample, got 0; record it again.")
    return mean


def _names(listener: Listener, scores: Floats) -> tuple[str, ...]:
    return tuple(label for label, there in zip(listener.labels, listener.named(scores), strict=True) if there)


def _check_file(listener: Listener, path: Path) -> None:
    found = audio.info(path)
    if found.rate_hz < listener.minimum_rate_hz:
        raise HearlessError(
            f"{path}: the listener needs sound recorded at {listener.minimum_rate_hz} Hz or more, got {found.rate_hz} "
            "Hz; take the original recording or a listener for a lower rate."
        )
    if found.duration_s < listener.least_s:
        raise HearlessError(
            f"{path}: the listener needs at least {listener.least_s:g} s of sound, got {found.duration_s:g} s; record "
            "longer, or leave it out."
        )


def _windows(blocks: Iterable[Floats], size: int, hop: int) -> Iterator[tuple[int, Floats]]:
    """Cut a stream of blocks into ``(first sample, samples)``; the last window may be shorter than ``size``."""
    held, start = np.empty(0, dtype=np.float32), 0
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= size:
            yield start, held[:size]
            held, start = held[hop:], start + hop
    heard_before = size - hop if start else 0
    if len(held) > heard_before:
        yield start, held


def _batches(windows: Iterable[tuple[int, Floats]], batch: int) -> Iterator[list[tuple[int, Floats]]]:
    """Group windows of one length, at most ``batch`` at once."""
    group: list[tuple[int, Floats]] = []
    for window in windows:
        if group and (len(group) == batch or len(window[1]) != len(group[0][1])):
            yield group
            group = []
        group.append(window)
    if group:
        yield group


def _padded(samples: Floats, size: int, shortest: float) -> Floats:
    """Return ``samples``, zero-padded to ``size`` where they are fewer than ``shortest``."""
    return np.pad(samples, (0, size - len(samples))) if len(samples) < min(shortest, size) else samples


def score(listener: Listener, group: list[Floats]) -> Floats:
    """Return probabilities ``[n, class]`` of ``n`` windows of one length.

    Raises:
        HearlessError: what the listener returns is not finite or of another shape.
    """
    size, shortest = round(listener.window_s * listener.rate_hz), listener.min_window_s * listener.rate_hz
    heard = np.stack([_padded(samples, size, shortest) for samples in group])
    logits = np.asarray(listener.classify(heard, listener.rate_hz), dtype=np.float64)
    if logits.shape != (len(heard), len(listener.labels)):
        raise HearlessError(
            f"the listener must return logits {(len(heard), len(listener.labels))}, got {logits.shape}; "
            "its labels must be those of its classifier."
        )
    if not np.isfinite(logits).all():
        raise HearlessError("the listener must return finite logits, got nan or inf; check the file and its weights.")
    return calibration.scores(logits, multi_label=listener.multi_label).astype(np.float32)


def write_csv(predictions: Iterable[FilePrediction], path: str | Path) -> None:
    """Write one row a label, as predictions come: path, start_s, end_s, label, score, named, error.

    ``named`` is 1 where the class is said to be there: all 0 where a sound is none of the classes.  Rows are windows
    where they were kept, else whole files; an error is a row with neither label nor score.  Until all is written, the
    table lies in ``path`` with ``.partial`` added, readable at any time.
    """
    with _finished(Path(path)) as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for prediction in predictions:
            writer.writerows(rows(prediction))
            file.flush()


def rows(prediction: FilePrediction) -> Iterator[dict[str, Any]]:
    """Yield a prediction's rows of the table, by `COLUMNS`; what is not said is left out."""
    name = str(prediction.path)
    if prediction.error is not None:
        yield {"path": name, "error": prediction.error}
        return
    whole = Window(0.0, prediction.seconds, prediction.scores, prediction.named)
    for window in [whole] if prediction.windows is None else prediction.windows:
        span = {"path": name, "start_s": window.start_s, "end_s": window.end_s}
        for label, score in prediction.ranked(window.scores).items():
            yield {**span, "label": label, "score": score, "named": int(label in window.named)}


def write_json(predictions: Iterable[FilePrediction], path: str | Path) -> None:
    """Write a list with one object a file, as predictions come: path, error, seconds, scores (and windows).

    Until all is written, the list lies in ``path`` with ``.partial`` added, valid JSON after each prediction.
    """
    close = "\n]\n"
    with _finished(Path(path)) as file:
        file.write("[" + close)
        file.flush()
        end = 1
        for number, prediction in enumerate(predictions):
            file.seek(end)
            text = (",\n" if number else "\n") + json.dumps(plain(prediction), allow_nan=False)
            file.write(text + close)
            file.flush()
            end += len(text)


def plain(prediction: FilePrediction) -> dict[str, Any]:
    """Return a prediction as plain JSON data."""
    entry: dict[str, Any] = {
        "path": str(prediction.path),
        "error": prediction.error,
        "seconds": prediction.seconds,
        "scores": prediction.ranked(),
        "named": list(prediction.named),
    }
    if prediction.windows is not None:
        entry["windows"] = [
            {
                "start_s": window.start_s, "end_s": window.end_s, "scores": prediction.ranked(window.scores),
                "named": list(window.named),
            }
            for window in prediction.windows
        ]  # fmt: skip
    return entry


@contextmanager
def _finished(path: Path) -> Iterator[IO[str]]:
    """Open ``path`` with ``.partial`` added for writing, and give it its name once all went well."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        yield file
    partial.replace(path)
