"""The Python door: train, load, predict, show and list in a few lines; the command line goes through it too.

Recipes and studies are loaded by name, so that nothing below knows them.
"""

from __future__ import annotations

import importlib
import inspect
import math
import os
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from textwrap import fill
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hearless import audio, download, evaluate, logs
from hearless import predict as predicting
from hearless.calibration import Calibration
from hearless.captures.third_octave import ThirdOctave
from hearless.classifiers._official import weights_table
from hearless.dsp.octave_bands import INTERVALS, RATE_HZ, nominal_hz
from hearless.interfaces import Capture, Enhancer, HearlessError, Masking, Transcoder
from hearless.lab import Lab
from hearless.levels import FORMATS, LevelLog, estimated_offset_db, median_db, open_levels, write_levels
from hearless.pipeline import Pipeline
from hearless.provenance import git_commit
from hearless.recipe import Recipe
from hearless.report import Report
from hearless.run import Predictions, Run
from hearless.spec import SHELVES, Spec, class_names, resolve, spec
from hearless.splits import natural
from hearless.study import Question, Row, Study
from hearless.teachers import Pretrained
from hearless.weights import as_listener, load_pretrained, weights_folder

if TYPE_CHECKING:
    from hearless.deploy import Budget, Exported
    from hearless.pictures import Hearing, Layer

WINDOW_S = 10.0
"""How much a published network hears at once: the length of AudioSet's clips."""

Tables = str | Path | Sequence[str | Path] | None
"""A user's table of clips, or several."""

TRANSCODER = (
    "hearless train --labels TABLE.csv --method spectral_transcoder/light --backbone yamnet --set interval={interval}"
)
"""The command that trains a model of levels."""

MEDIAN_ROWS = 691_200
"""Rows of a log that its offset is estimated from, at most: a day of fast levels."""

PEAK = 0.5
"""Of sound made from levels, as a share of full scale: levels of a log say nothing of a loudspeaker's."""

LONGEST_S = 600.0
"""Seconds of sound made from levels, at most: it is made in memory."""

Say = Callable[[str], None]

TITLE_WIDTH = 90
"""Characters in a line of a picture's title."""


@dataclass(frozen=True)
class Model:
    """A trained pipeline, ready to listen.

    Attributes:
        pipeline: in eval mode.
        labels: its classes.
        multi_label: any number of classes at once, or exactly one.
        window_s: how much it hears at once, in s.
        name: what it is called.
        median_db: each band's median level over its training clips, NaN where unknown; empty where none was measured.
        trained_by: the command that trains a model of levels like it, ``{interval}`` for "fast" or "slow".
        calibration: what its logits are divided by and when a class is said to be there.
        beside: the frozen classifier that hears the sound itself, where its transcoder was trained beside one.
    """

    pipeline: Pipeline = field(repr=False)
    labels: tuple[str, ...]
    multi_label: bool
    window_s: float
    name: str
    median_db: tuple[float, ...] = ()
    trained_by: str = TRANSCODER
    calibration: Calibration = field(default_factory=Calibration)
    beside: Pretrained | None = field(default=None, repr=False)

    @property
    def hears_levels(self) -> bool:
        """Say whether its sensor keeps levels instead of sound."""
        return isinstance(self.pipeline.capture, ThirdOctave)

    def level_listener(self, window_s: float | None = None) -> logs.LevelListener:
        """Return the model as `hearless.logs` wants it; its window is rounded to whole levels.

        Raises:
            HearlessError: it hears sound, or the window is too short for its classifier.
        """
        if not self.hears_levels:
            raise HearlessError(
                f"{self.name} hears sound; for level tables train a transcoder: {TRANSCODER.format(interval='fast')}"
            )
        interval_s = 1.0 / cast(Capture, self.pipeline.capture).rate_hz
        wanted_s = max(1, round((window_s or self.window_s) / interval_s)) * interval_s
        self.pipeline.check_length(wanted_s)
        return logs.LevelListener(
            self._of_levels, self.labels, interval_s, wanted_s, cast(ThirdOctave, self.pipeline.capture).octaves,
            name=self.name, trained_by=self.trained_by,
        )  # fmt: skip

    def _of_levels(self, levels_db: NDArray[np.float32]) -> NDArray[Any]:
        """Return the scores ``[batch, class]`` of levels ``[batch, band, frame]``."""
        device = self.pipeline.torch_device
        with torch.inference_mode():
            logits = self.pipeline(torch.from_numpy(levels_db).to(device)).logits
        return self._chances(self._calibrated(logits))

    @property
    def listener(self) -> predicting.Listener:
        """The model as `hearless.predict` wants it."""
        capture = cast(Capture, self.pipeline.capture)
        rate_hz = capture.source_rate_hz
        return predicting.Listener(
            self._classify, self.labels, rate_hz, self.window_s, self.multi_label,
            minimum_rate_hz=capture.minimum_rate_hz, sensor=f"{type(capture).__name__} at {capture.rate_hz} Hz",
            thresholds=self.calibration.thresholds, none_below=self.calibration.none_below,
        )  # fmt: skip

    def _classify(self, waveform: NDArray[np.float32], rate_hz: int) -> NDArray[Any]:
        with torch.inference_mode():
            logits = self.pipeline(self._observe(waveform, rate_hz)).logits
        return self._calibrated(logits).numpy()

    def _calibrated(self, logits: Tensor) -> Tensor:
        return logits.float().cpu() / self.calibration.temperature

    def _observe(self, waveform: NDArray[np.float32], rate_hz: int) -> Tensor:
        device = self.pipeline.torch_device
        return self.pipeline.observe(torch.from_numpy(np.ascontiguousarray(waveform)).to(device), rate_hz)

    def predict(self, sound: str | Path | NDArray[Any], rate: int | None = None) -> dict[str, float]:
        """Return the score of every class, best first, for a file, or for samples ``[time]`` at ``rate`` Hz.

        Raises:
            HearlessError: the file cannot be read; samples without a rate, below the model's, or not finite.

        Whole numbers are scaled by their full scale: int16 by 32,768, int32 by 2^31.
        """
        if isinstance(sound, (str, Path)):
            said = next(predicting.predict(self.listener, sound))
            if said.error:
                raise HearlessError(said.error)
            return said.ranked()
        return self._ranked(self._of_samples(_full_scale(np.asarray(sound)), rate))

    def show(
        self, sound: str | Path, path: str | Path | None = None, *, top: int = 3, db_offset: float | None = None,
        say: Say = lambda text: None,
    ) -> Shown:  # fmt: skip
        """Draw what the model makes of a file's first window: features, its enhancer's mask and output, best classes.

        Args:
            sound: the file; one shorter than the window is heard, and drawn, with silence after it.  For a model of
                levels also a level table.
            path: of the picture; its ending says the kind.  Default: ``SOUND.show.png`` in the current folder.
            top: how many classes its title names.
            db_offset: added to the levels of a table; None: estimated, and ``say`` is told the evidence.
            say: told so.

        Raises:
            HearlessError: the file cannot be read or was recorded below the model's rate; something is not finite.
        """
        from hearless.pictures import layers

        file = Path(sound)
        stack, best, seconds = self.heard(file, top, db_offset, say)
        shown = Shown(file, Path(path or f"{file.stem}.show.png"), seconds, min(seconds, self.window_s), best, stack)
        layers(stack, shown.picture, title=shown.title(self.name))
        return shown

    def heard(
        self, file: Path, top: int = 3, db_offset: float | None = None, say: Say = lambda text: None
    ) -> tuple[tuple[Layer, ...], dict[str, float], float]:
        """Return what its parts make of a file's first window, its best classes, and the seconds of the whole file."""
        if top < 1:
            raise HearlessError(f"top must be at least 1, got {top}.")
        observation, seconds = self.opening(file, self.window_s, db_offset, say)
        try:
            stack, logits = self._parts(observation)
            scores = self._ranked(self._chances(logits))
        except HearlessError as error:
            raise HearlessError(f"{file}: {error}") from error
        return stack, {label: scores[label] for label in list(scores)[:top]}, seconds

    def opening(
        self, file: Path, length_s: float, db_offset: float | None = None, say: Say = lambda text: None
    ) -> tuple[Tensor, float]:
        """Return what its sensor keeps of the beginning of a file ``[1, …]``, and the seconds of the whole file.

        A sound shorter than ``length_s`` is filled up with silence, a level table with its last level.
        """
        if _is_level_table(file):
            return self._opening_of_log(file, length_s, db_offset, say)
        found = audio.info(file)
        samples, rate_hz = audio.read(file, min(found.rate_hz, self.listener.rate_hz), 0.0, length_s)
        size = round(length_s * rate_hz)
        samples = np.pad(samples[:size], (0, max(0, size - len(samples))))
        try:
            with torch.inference_mode():
                return self._observe(samples[None], rate_hz), found.duration_s
        except HearlessError as error:
            raise HearlessError(f"{file}: {error}") from error

    def _opening_of_log(self, file: Path, length_s: float, db_offset: float | None, say: Say) -> tuple[Tensor, float]:
        listener = self.level_listener(length_s)
        log = open_levels(file)
        logs.check(log.table, listener, logs.Wanted())
        levels_db, n_there = logs.beginning(log, listener.n_rows + 1)
        offset_db = _offset_db(self, log, say) if db_offset is None else db_offset
        heard = np.ascontiguousarray(levels_db[: listener.n_rows].T[None] + np.float32(offset_db))
        n_rows = n_there if n_there <= listener.n_rows else max(n_there, logs.n_rows(log))
        return torch.from_numpy(heard).to(self.pipeline.torch_device), n_rows * listener.interval_s

    def original(self) -> Model | None:
        """Return the frozen classifier that its transcoder was trained beside, hearing the sound itself; else None."""
        if self.beside is None or self.beside.pipeline is None:
            return None
        pipeline = self.beside.pipeline.build(len(self.labels))
        load_pretrained(pipeline, self.beside.weights, self.beside.sha256, replace_output=False)
        on = pipeline.on(self.pipeline.torch_device.type).eval()
        return Model(on, self.labels, self.multi_label, self.window_s, type(on.classifier).__name__)

    def _parts(self, observation: Tensor) -> tuple[tuple[Layer, ...], Tensor]:
        """Return what front end and enhancer make of an observation, and the logits ``[class]``."""
        with torch.inference_mode():
            features = self.pipeline.features(observation)
            logits = self.pipeline.judge(features).logits[0]
            return _layers(self.pipeline, observation, features), self._calibrated(logits)

    def _chances(self, logits: Tensor) -> NDArray[Any]:
        """Return the scores of logits ``[class]``."""
        if not logits.isfinite().all():
            raise HearlessError(f"{self.name}: logits must be finite, got nan or inf; check the sound and the weights.")
        return (torch.sigmoid(logits) if self.multi_label else torch.softmax(logits, -1)).double().numpy()

    def _ranked(self, scores: NDArray[Any]) -> dict[str, float]:
        return {self.labels[i]: float(scores[i]) for i in np.argsort(-scores, kind="stable")}

    def _of_samples(self, samples: NDArray[np.float32], rate: int | None) -> NDArray[Any]:
        capture = cast(Capture, self.pipeline.capture)
        if rate is None or rate < capture.minimum_rate_hz or samples.ndim != 1 or not len(samples):
            raise HearlessError(
                f"samples must be [time] with their rate of at least {capture.minimum_rate_hz} Hz, "
                f"got shape {samples.shape} and rate={rate}; pass model.predict(samples, rate=…)."
            )
        if not np.isfinite(samples).all():
            raise HearlessError("samples must be finite, got NaN or infinity; mend the recording.")
        size = round(self.window_s * rate)
        scores = np.zeros(len(self.labels))
        for start in range(0, len(samples), size):
            part = samples[start : start + size]
            logits = torch.from_numpy(self._classify(np.pad(part, (0, size - len(part)))[None], rate)[0])
            scores += len(part) / len(samples) * self._chances(logits)
        return scores


@dataclass(frozen=True)
class Shown:
    """A picture of what a model makes of a sound.

    Attributes:
        path: the sound.
        picture: the picture.
        seconds: how long the sound is.
        end_s: how far into it was drawn.
        scores: the best classes of what was drawn, best first.
        layers: what was drawn, from top to bottom.
    """

    path: Path
    picture: Path
    seconds: float
    end_s: float
    scores: dict[str, float]
    layers: tuple[Layer, ...] = field(repr=False)

    @property
    def part(self) -> str:
        """Say how much of a longer sound was drawn, or nothing."""
        return _part(self.end_s, self.seconds)

    def title(self, model: str) -> str:
        """Return the picture's title."""
        said = ", ".join(f"{label} {score:.2f}" for label, score in self.scores.items())
        lines = (f"{self.path.name}: {said}", ", ".join(filter(None, (model, self.part))))
        return "\n".join(fill(line, TITLE_WIDTH) for line in lines)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; of the layers their names."""
        return {
            "path": str(self.path), "picture": str(self.picture), "seconds": self.seconds, "end_s": self.end_s,
            "scores": self.scores, "layers": [layer.name for layer in self.layers],
        }  # fmt: skip


@dataclass(frozen=True)
class Together:
    """A picture of what several classifiers are given of one sound.

    Attributes:
        path, picture, seconds, end_s: as of `Shown`.
        scores: each one's best classes, best first, by its name; from top to bottom.
        hearings: what was drawn.
    """

    path: Path
    picture: Path
    seconds: float
    end_s: float
    scores: dict[str, dict[str, float]]
    hearings: tuple[Hearing, ...] = field(repr=False)

    @property
    def part(self) -> str:
        """Say how much of a longer sound was drawn, or nothing."""
        return _part(self.end_s, self.seconds)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "path": str(self.path), "picture": str(self.picture), "seconds": self.seconds, "end_s": self.end_s,
            "models": self.scores,
        }  # fmt: skip


def _part(end_s: float, seconds: float) -> str:
    drawn, whole = round(end_s, 2), round(seconds, 2)
    return f"the first {drawn:g} s of {whole:g} s" if drawn < whole else ""


def _is_level_table(file: Path) -> bool:
    return file.suffix.lower() in FORMATS and not file.is_dir()


def _layers(pipeline: Pipeline, observation: Tensor, features: Tensor) -> tuple[Layer, ...]:
    """Return what front end and enhancer make of one clip; only an enhancer that masks is known to keep the axes."""
    from hearless.pictures import Layer

    axes, maker, enhancer = pipeline.axes(observation.shape[-1]), type(pipeline.frontend).__name__, pipeline.enhancer
    unit = "level (dB)" if observation.ndim == 3 else f"{maker} feature"
    heard = Layer(f"heard: {maker}", _image(features), unit, axes)
    if enhancer is None:
        return (heard,)
    made, by = _image(cast(Enhancer, enhancer)(features)), type(enhancer).__name__
    if isinstance(enhancer, Transcoder):
        return heard, Layer(f"made of it: {by}", made, f"{by} feature", enhancer.axes(made.shape[1]))
    if not isinstance(enhancer, Masking):
        return heard, Layer(f"made of it: {by}", made, f"{by} feature", None)
    mask = Layer(f"mask: {by}", _image(enhancer.mask(features)), "factor", axes)
    return heard, mask, Layer("enhanced: heard × mask", made, unit, axes)


def _image(features: Tensor) -> NDArray[Any]:
    """Return ``[1, 1, band, frame]`` as ``[band, frame]``."""
    return features[0, 0].float().cpu().numpy()


def _full_scale(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Return samples as float32 in -1 … 1; int16 and int32 by their full scale."""
    if samples.dtype in (np.int16, np.int32):
        return (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
    if not np.issubdtype(samples.dtype, np.floating):
        raise HearlessError(f"samples must be float, int16 or int32, got {samples.dtype}; convert them.")
    return samples.astype(np.float32)


def load(run: Run | str | Path, *, torch_device: str = "cpu") -> Model:
    """Return the model of a run, of its folder (``runs/…/fold1-seed0``), or of the first run in a recipe's folder.

    Raises:
        HearlessError: no finished run is there.
    """
    found = finished(run.path if isinstance(run, Run) else Path(run))[0]
    lab = Lab(found.path.parent.parent, Path(), torch_device=torch_device)
    measured = found.measured
    name = f"{found.path.parent.name}/{found.path.name}"
    median_db = tuple(math.nan if level is None else level for level in measured.get("median_db", ()))
    return Model(
        lab.pipeline(found), tuple(measured["labels"]), measured["multi_label"], measured["clip_s"], name, median_db,
        _trained_by(found.recipe), evaluate.calibration_of(found) or Calibration(), _beside(found.recipe),
    )  # fmt: skip


def _beside(recipe: Recipe) -> Pretrained | None:
    """Return the frozen classifier that a recipe's student is judged beside, where it has the student's classes."""
    return recipe.teacher if recipe.classes and isinstance(recipe.teacher, Pretrained) else None


def _trained_by(recipe: Recipe) -> str:
    """Return the command that trains a recipe's like for levels of another interval or of octaves."""
    system, _, rest = recipe.name.partition("/")
    method, backbone = ([*rest.split("-"), ""])[:2] if rest.count("-") == 2 else ("", "")
    if f"{system}/{method}" not in recipe_names():
        return TRANSCODER
    command = TRANSCODER.replace("spectral_transcoder/light", f"{system}/{method}").replace("yamnet", backbone)
    bands = recipe.student.capture.arguments.get("bands", "published")
    return command if bands == "published" else f"{command} --set bands={bands}"


def finished(folder: Path) -> list[Run]:
    """Return the finished runs of a folder: itself, or a recipe's runs over folds and seeds.

    Raises:
        HearlessError: there is none.
    """
    if (folder / "done.json").is_file():
        return [Run(folder)]
    inside = sorted((path.parent for path in folder.glob("*/done.json")), key=lambda path: natural(path.name))
    runs = [run for run in map(Run, inside) if run.predictions("test").is_file()]
    if not runs:
        raise HearlessError(f"{folder} holds no finished run; name a folder such as runs/low_rate-cssd-…/fold1-seed0.")
    return runs


def load_weights(weights: str | Path, backbone: str | None = None, *, torch_device: str = "cpu") -> Model:
    """Return a published weights file as a model of its own label set (AudioSet's 527 classes)."""
    path = Path(weights)
    pipeline, labels, _ = as_listener(path, backbone)
    return Model(pipeline.on(torch_device), labels, True, WINDOW_S, path.name)


def predict(
    model: Model | Run | str | Path, paths: str | Path | Sequence[str | Path], **options: Any
) -> Iterator[predicting.FilePrediction]:
    """Classify files and folders with a model or run folder: see `hearless.predict.predict`."""
    listening = model if isinstance(model, Model) else load(model)
    return predicting.predict(listening.listener, paths, **options)


def sources(
    model: Model | Run | str | Path, log: str | Path, out: str | Path, *, every: str | None = None,
    hop_s: float | None = None, window_s: float | None = None, db_offset: float | None = None, top: int | None = 5,
    only: str | Sequence[str] = (), on_progress: logs.Progress | None = None,
    say: Callable[[str], None] = lambda text: None, **reading: Any,
) -> logs.Written:  # fmt: skip
    """Write the table of sources over time of a level log; killed, the same call goes on where it was.

    Args:
        model: a model of levels, or its run.
        log: the level table.
        out: ``.csv`` or ``.parquet``, see `hearless.logs.write`.
        every: scores are averaged over ``"1min"``, ``"1h"`` …; ``"window"``: a row a window; None: a minute, or for a
            log of less than an hour a row a window.
        hop_s: seconds between windows.
        window_s: what is heard at once; None: as in training.
        db_offset: added to the log's levels; None: estimated from the medians of log and training clips.
        top: labels in a row.
        only: labels wanted instead of the best.
        on_progress: told rows done and rows in all.
        say: told the offset and its evidence.
        reading: how the log is read: arguments of `hearless.levels.open_levels`.

    Raises:
        HearlessError: log, model and options do not fit.
    """
    listening = model if isinstance(model, Model) else load(model)
    opened, listener, wanted = prepared(
        listening, log, every=every, hop_s=hop_s, window_s=window_s, db_offset=db_offset, top=top, only=only, say=say,
        **reading,
    )  # fmt: skip
    return logs.write(opened, listener, out, wanted, reading=reading, on_progress=on_progress)


def prepared(
    model: Model, path: str | Path, *, every: str | None = None, hop_s: float | None = None,
    window_s: float | None = None, db_offset: float | None = None, top: int | None = 5, only: str | Sequence[str] = (),
    say: Callable[[str], None] = lambda text: None, **reading: Any,
) -> tuple[LevelLog, logs.LevelListener, logs.Wanted]:  # fmt: skip
    """Open a log for a model, check that they fit and settle what the table shall hold: arguments as in `sources`."""
    listener = model.level_listener(window_s)
    log = open_levels(path, **reading)
    chosen = logs.labels_of(only, model.labels) if isinstance(only, str) else tuple(only)
    period_s = None if every == "window" else logs.usual_every_s(log) if every is None else logs.seconds_of(every)
    wanted = logs.Wanted(period_s, hop_s, 0.0, top, chosen)
    logs.check(log.table, listener, wanted)
    offset_db = _offset_db(model, log, say) if db_offset is None else db_offset
    return log, listener, replace(wanted, offset_db=offset_db)


def _offset_db(model: Model, log: LevelLog, say: Callable[[str], None]) -> float:
    """Estimate what to add to a log's levels and tell why."""
    if not model.median_db:
        say("offset 0 dB: the model's run tells no levels of its training clips; give --db-offset.")
        return 0.0
    head = takewhile(lambda block: block.first_row < MEDIAN_ROWS, log.blocks(8192))
    offset_db, evidence = estimated_offset_db(median_db(head), model.median_db)
    say(f"{evidence}.  Another offset: --db-offset.")
    return round(offset_db, 1)


def resynthesise(
    model: Listening, sound: str | Path, out: str | Path, *, seconds: float = 30.0, db_offset: float | None = None,
    say: Say = lambda text: None,
) -> float:  # fmt: skip
    """Write what a transcoder makes of the beginning of a sound or of a level table as sound; return its seconds.

    So one can hear what a log still tells.  The loudest sample lies at half of full scale.

    Args:
        model: a model of levels with a transcoder, or its run.
        sound: the file.
        out: WAV, FLAC or OGG by its extension.
        seconds: how much of it, at most.
        db_offset: added to the levels of a table; None: estimated, and ``say`` is told the evidence.
        say: told so.

    Raises:
        HearlessError: the model has no transcoder, the file cannot be read, or ``out`` not be written.
    """
    listening, file = _model_of(model), Path(sound)
    enhancer: object = listening.pipeline.enhancer
    if not isinstance(enhancer, Transcoder):
        command = TRANSCODER.format(interval="fast")
        raise HearlessError(f"{listening.name} has no transcoder to be heard; train one: {command}")
    if not 0.1 <= seconds <= LONGEST_S:
        raise HearlessError(f"seconds must lie between 0.1 and {LONGEST_S:g}, got {seconds:g}.")
    length_s = max(seconds, listening.window_s)
    observation, whole_s = listening.opening(file, length_s, db_offset, say)
    n_levels = math.ceil(min(whole_s, seconds) * cast(Capture, listening.pipeline.capture).rate_hz)
    with torch.inference_mode():
        made = cast(Enhancer, listening.pipeline.enhancer)(listening.pipeline.features(observation[..., :n_levels]))
        samples, rate_hz = enhancer.sound(made.float().cpu(), torch.Generator().manual_seed(0))
    peak = float(samples.abs().max()) or 1.0
    audio.write(out, (samples[0] * (PEAK / peak)).numpy(), rate_hz)
    return samples.shape[1] / rate_hz


def levels(
    sound: str | Path, out: str | Path, *, interval: str = "fast", bands: str = "published", octaves: str = "1/3",
    start: datetime | None = None,
) -> int:  # fmt: skip
    """Write the third-octave (or octave) levels of a sound file as a level table, as a sensor would; return its rows.

    Args:
        sound: the file, of any length.
        out: CSV, TSV, Parquet, NPY or HDF5 by its extension.
        interval: ``"fast"`` (125 ms) or ``"slow"`` (1 s).
        bands: ``"published"`` or ``"iec61260"``, as in `ThirdOctave`.
        octaves: ``"1/3"`` (29 bands) or ``"1/1"`` (10).
        start: when the recording began; None: time counts from 0.
    """
    capture, timing = ThirdOctave(interval=interval, bands=bands, octaves=octaves).eval(), INTERVALS[interval]
    size, overlap = 60 * RATE_HZ, timing.frame - timing.hop
    made, held = list[NDArray[Any]](), np.empty(0, np.float32)
    with torch.inference_mode():
        for block in audio.blocks(sound, RATE_HZ, 60.0):
            held = np.concatenate([held, block])
            while len(held) >= size + overlap:
                made.append(capture(torch.from_numpy(held[None, : size + overlap]), RATE_HZ)[0].T.numpy())
                held = held[size:]
        if len(held) > overlap or not made:
            made.append(capture(torch.from_numpy(held[None]), RATE_HZ)[0].T.numpy())
    table = np.concatenate(made)
    write_levels(out, table, nominal_hz(octaves), 1.0 / timing.rate_hz, start=start)
    return len(table)


Listening = Model | Run | str | Path
"""A model, a run or its folder."""


def show(
    model: Listening, sound: str | Path, path: str | Path | None = None, *, top: int = 3,
    db_offset: float | None = None, say: Say = lambda text: None,
) -> Shown:  # fmt: skip
    """Draw what a model or run folder makes of a sound: see `Model.show`."""
    return _model_of(model).show(sound, path, top=top, db_offset=db_offset, say=say)


def show_together(
    listening: Sequence[Listening], sound: str | Path, path: str | Path | None = None, *, top: int = 3,
    db_offset: float | None = None, say: Say = lambda text: None,
) -> Together:  # fmt: skip
    """Draw what several classifiers are given of a sound, one below the other, their best classes beside them.

    On top of transcoders' runs stands the Mel that their frozen classifier hears of the sound itself (paper 003,
    Fig. 5).  They share its colours; of a level table, which has no such Mel, those of the first.  Arguments as in
    `Model.show`.

    Raises:
        HearlessError: as there, or a model is named twice.
    """
    from hearless.pictures import Hearing, hearings

    models, file = [_model_of(one) for one in listening], Path(sound)
    names = _short([model.name for model in models])
    if not models or len({*names}) < len(names):
        raise HearlessError(f"each model must be named once, got {', '.join(names) or 'none'}.")
    stack: list[Hearing] = []
    scores: dict[str, dict[str, float]] = {}
    leads: dict[Pretrained | str, int] = {}
    for name, model in zip(names, models, strict=True):
        for title, heard in _heard_by(name, model, None if model.beside in leads else file):
            parts, said, seconds = heard.heard(file, top, db_offset, say)
            words = tuple(f"{label} {score:.2f}" for label, score in said.items())
            like = leads.get(model.beside or title)
            unit = parts[-1].unit if like is None else stack[like].layer.unit
            stack.append(Hearing(replace(parts[-1], name=title, unit=unit), words, like))
            scores[title] = said
            leads.setdefault(model.beside or title, len(stack) - 1)
    end_s = min(seconds, max(model.window_s for model in models))
    shown = Together(file, Path(path or f"{file.stem}.show.png"), seconds, end_s, scores, tuple(stack))
    hearings(stack, shown.picture, title=", ".join(filter(None, (file.name, shown.part))))
    return shown


def _heard_by(name: str, model: Model, file: Path | None) -> list[tuple[str, Model]]:
    """Return a model by name, before it the frozen classifier that hears the sound itself, where a file has sound."""
    original = None if file is None or _is_level_table(file) else model.original()
    return [*([(f"the sound itself: {original.name}", original)] if original else []), (name, model)]


def _short(names: Sequence[str]) -> list[str]:
    """Return run folders' names without hash and fold, where that tells them apart."""
    short = [name.partition("/")[0].rpartition("-")[0] if "/" in name else name for name in names]
    return short if len({*short}) == len(short) and all(short) else list(names)


def _model_of(model: Listening) -> Model:
    return model if isinstance(model, Model) else load(model)


def export(
    run: Run | str | Path, to: str = "onnx", *, root: str | Path | None = None, int8: bool = False,
    out: str | Path | None = None, tolerance: float | None = None,
) -> Exported:  # fmt: skip
    """Write a run's whole pipeline as a file that another runtime runs, checked against PyTorch, or refuse.

    Args:
        run: a run or its folder.
        to: ``"onnx"`` or ``"executorch"``.
        root: the folder of its recordings; default: where `dataset` looks for its data set.
        int8: round a float run to int8.
        out: the file; default: in the run's folder.
        tolerance: how far a logit may lie from PyTorch's; None: what `hearless.exports` allows.

    Raises:
        HearlessError: see `hearless.deploy.export`.
    """
    from hearless import deploy

    found = finished(run.path if isinstance(run, Run) else Path(run))[0]
    return deploy.export(
        found, _recordings(found, root), to, int8=int8, out=Path(out) if out else None, tolerance=tolerance
    )


def _recordings(run: Run, root: str | Path | None) -> Path:
    """Return the folder of a run's recordings: a run does not tell where they lie."""
    name = run.recipe.dataset.name
    folder = Path(root) if root else Path("data") / name.lower()
    if not folder.is_dir():
        raise HearlessError(
            f"the file is compared with PyTorch on clips that the run was not trained on: name the folder of its "
            f"recordings ({name}) with --root, got {str(folder)!r}, which is no folder."
        )
    return folder


def budget(
    run: Run | str | Path, *, max_bytes: str | None = None, max_macs: str | None = None, precision: str | None = None
) -> Budget:
    """Count what a run's network costs and hold it against a budget: see `hearless.deploy.budget`."""
    from hearless import deploy

    found = run if isinstance(run, Run) else finished(Path(run))[0]
    return deploy.budget(found, max_bytes=max_bytes, max_macs=max_macs, precision=precision)


def dataset(
    name: str | None = None, labels: Tables = None, root: str | Path | None = None,
    mapping: dict[str, str] | None = None,
) -> tuple[Spec, Path]:  # fmt: skip
    """Return a data set and the folder of its sound, from a name, a table of labels, or a folder of class folders.

    Args:
        name: a data set of the shelf, such as ``"ESC50"`` or ``"synthetic"``.
        labels: a CSV table of the user's own clips, or several, whose folds then are named ``folder/fold``.
        root: where the sounds lie; default: beside the table.
        mapping: further arguments of the data set by name; for a table the names of its columns, such as
            ``{"label": "category"}``.

    Raises:
        HearlessError: no such table or data set, or an argument that it does not take.
    """
    more = dict(mapping or {})
    tables = [Path(one) for one in ([labels] if isinstance(labels, str | Path) else labels or [])]
    if wrong := [table for table in tables if not table.is_file()]:
        raise HearlessError(f"labels must be a CSV file, got {wrong[0]}; name the table with one row a clip.")
    if tables:
        beside = tables[0].parent if len(tables) == 1 else Path(os.path.commonpath([t.parent for t in tables]))
        folder = Path(root) if root else beside
        relative = [Path(os.path.relpath(table.resolve(), folder.resolve())).as_posix() for table in tables]
        if len(relative) > 1:
            return _data_set("SeveralTables", {**more, "tables": ";".join(relative)}), folder
        return _data_set("CsvLabels", {**more, "table": relative[0]}), folder
    if name is not None:
        known = {n.lower(): n for n in class_names("datasets")}
        if name.lower().replace("_", "") not in known:
            raise HearlessError(f"dataset must be one of {', '.join(known)}, got {name!r}.")
        default = Path("data") / name.lower()
        return _data_set(known[name.lower().replace("_", "")], more), Path(root) if root else default
    if root is None:
        raise HearlessError(
            "name your sounds: --labels TABLE.csv, --root FOLDER (one folder a class), or --dataset NAME."
        )
    return _data_set("FolderLabels", more), Path(root)


def _data_set(name: str, arguments: dict[str, Any]) -> Spec:
    """Return a data set's spec; whole numbers may come as text, as the command line has them."""
    cls = resolve("datasets", name)
    hints = {key: str(p.annotation) for key, p in inspect.signature(cls).parameters.items()}
    whole = {k: int(v) for k, v in arguments.items() if hints.get(k) == "int" and str(v).isdecimal()}
    return spec(cls, **{**arguments, **whole})


def fetch(
    name: str, folder: Path | None = None, *, confirm: Callable[[str], bool] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> list[Path]:  # fmt: skip
    """Download a published weights file or a data set by name, checked, and return where it lies.

    Args:
        name: such as ``"mn04"`` or ``"esc50"``.
        folder: where a data set goes; default: ``data/NAME``.
        confirm: asked before a file is kept whose checksum nobody published; None: such a file is an error.
        say: told the licence and the source.

    Raises:
        HearlessError: an unknown name, or a file that did not arrive whole.
    """
    table, known = weights_table(), {n.lower() for n in class_names("datasets")}
    if name in table:
        row = table[name][1]
        say(f"{name}: {row.licence}; {row.source}")
        return [download.fetch(row.remote, weights_folder(), confirm=confirm)]
    if name.lower().replace("_", "") not in known:
        raise HearlessError(
            f"no weights or data set is called {name!r}; weights: {', '.join(table)}; data sets: "
            f"{', '.join(sorted(known))}."
        )
    data, default = dataset(name)
    corpus = data.build()
    say(f"{name}: {corpus.licence}; {corpus.source}{'' if corpus.remotes else '; nothing to download'}")
    return [download.fetch(remote, folder or default, confirm=confirm) for remote in corpus.remotes]


def recipe_module(name: str) -> ModuleType:
    """Return the recipe or study called ``folder/file``.

    Raises:
        HearlessError: there is none; those known are listed.
    """
    if name not in recipe_names():
        raise HearlessError(f"recipes and studies are {', '.join(recipe_names())}; got {name!r}.")
    return importlib.import_module(f"hearless.recipes.{name.replace('/', '.')}")


def _maker(name: str, *kinds: str) -> Callable[..., Any]:
    """Return the function ``recipe`` of a recipe file, or ``study`` or ``analyse`` of a study's.

    Raises:
        HearlessError: there is no such file, or it makes another kind; those known are listed.
    """
    system = name.partition("/")[0]
    of_system = [known for known in recipe_names() if known.startswith(f"{system}/")] or recipe_names()
    inside = {known: vars(recipe_module(known)) for known in of_system}
    makers = {known: next((vars_[kind] for kind in kinds if kind in vars_), None) for known, vars_ in inside.items()}
    if makers.get(name) is None:
        known = ", ".join(known for known, made in makers.items() if made is not None)
        raise HearlessError(f"{name!r} is no {kinds[0]}; known are {known}.")
    return cast("Callable[..., Any]", makers[name])


def recipe_names() -> tuple[str, ...]:
    """Return ``folder/file`` of every recipe and study, without importing one."""
    package = importlib.import_module("hearless.recipes")
    systems = [m.name for m in pkgutil.iter_modules(package.__path__) if m.ispkg]
    return tuple(
        f"{system}/{m.name}"
        for system in systems
        for m in pkgutil.iter_modules([str(Path(package.__path__[0]) / system)])
        if m.name != "settings" and not m.name.startswith("_")
    )


def settings(system: str, data: Spec, /, **words: Any) -> Any:
    """Return a recipe folder's settings for a data set; ``words`` are its `from_words` arguments."""
    return importlib.import_module(f"hearless.recipes.{system}.settings").from_words(data, **words)


def train(
    *, labels: Tables = None, root: str | Path | None = None, name: str | None = None,
    mapping: dict[str, str] | None = None, rate: int = 1000, method: str = "cssd", backbone: str = "mn04",
    weights: str | Path | None = None, fold: str | None = None, seed: int = 0, runs: str | Path = "runs",
    lab: Lab | None = None, **words: Any,
) -> Run:  # fmt: skip
    """Train a classifier on your own clips and return its run; asking twice resumes or reuses.

    Args:
        labels: a CSV table of the clips, as in `dataset`.
        root: the folder of the sounds.
        name: a data set of the shelf instead.
        mapping: the table's column names.
        rate: what the sensor samples at, in Hz.
        method: "fine_tuned", "basd", "cssd", or "full_band" (16 kHz); or any other recipe as ``system/recipe``, such as
            "spectral_transcoder/light" (levels instead of sound).
        backbone: short name of a network, such as ``"mn04"``.
        weights: a local weights file in place of the published one; ``"none"`` starts from random weights.
        fold: the fold to test on; default: the first.
        seed: of all draws.
        runs: the folder of all runs.
        lab: where runs are made (progress bars, torch device); default: a quiet one on the CPU.
        words: further settings, such as ``epochs=30``.
    """
    system = method.partition("/")[0] if "/" in method else "low_rate"
    make = _maker(method if "/" in method else f"low_rate/{method}", "recipe")
    data, folder = dataset(name, labels, root, mapping)
    lab = lab or Lab(Path(runs), folder)
    words.setdefault("multi_label", lab.table(data).multi_label)
    chosen = settings(system, data, backbone=backbone, weights=weights, **words)
    takes = inspect.signature(make).parameters
    at_rate = "rate_hz" in takes and make.__module__.rpartition(".")[2] != "full_band"
    tested = fold or lab.folds(data)[0]
    at_fold = {"fold": tested} if "fold" in takes else {}
    recipe = make(chosen, rate, **at_fold) if at_rate else make(chosen, **at_fold)
    known = lab.folds(recipe.dataset)
    return lab.run(recipe, tested if tested in known or not at_fold else known[0], seed)


def study(
    name: str, *, lab: Lab | None = None, runs: str | Path = "runs", command: str = "",
    labels: Tables = None,
    root: str | Path | None = None, dataset_name: str | None = None, mapping: dict[str, str] | None = None,
    backbones: Sequence[str] = (), weights: str | Path | None = None,
    folds: Sequence[str] = (), seeds: Sequence[int] = (0,),
    rates: Sequence[int] = (), place: str | Path | None = None, **words: Any,
) -> Report:  # fmt: skip
    """Run a study by name and return its table; data, networks, folds, seeds and rates may replace the paper's.

    ``place`` is where pictures go, those of an analysis (see `is_analysis`) and those of a study whose file has
    ``draw(report, place)``, a function of its table alone; default: ``RUNS/studies/NAME``.
    """
    make = _maker(name, "study", "analyse")
    module = recipe_module(name)
    if "backbone" in words:
        raise HearlessError(f"a study takes backbones=[…], got backbone={words['backbone']!r}; put it in a list.")
    own = bool(labels) or root is not None or dataset_name is not None
    default = vars(module).get("DATA", "ESC50")
    mapping = {**(vars(module).get("MAPPING", {}) if labels else {}), **(mapping or {})}
    data, folder = (None, Path()) if not own and default is None else dataset(
        *((dataset_name, labels, root, mapping) if own else (default, None, root, None))
    )  # fmt: skip
    lab = lab or Lab(Path(runs), folder)
    mine = {word: words.pop(word) for word in vars(module).get("WORDS", ()) if word in words}
    if data is None and words:
        known = ", ".join(vars(module).get("WORDS", ())) or "nothing"
        raise HearlessError(f"--set of {name} takes {known} where no data are named, got {', '.join(words)}.")
    each, task = _each(module, lab, data, own, backbones, weights, words, bool(rates)) if data else ([], "")
    pictures = Path(place or lab.runs / "studies" / name)
    if is_analysis(name):
        question = Question(
            tuple(each), data if own else None, tuple(rates), tuple(folds), tuple(seeds), task, command, pictures, mine
        )  # fmt: skip
        return cast(Report, make(lab, question))
    more = {"rates": tuple(rates)} if rates else {}
    report = lab.study(make(each, folds=tuple(folds), seeds=tuple(seeds), task=task, **more), command)
    if draw := vars(module).get("draw"):
        draw(report, pictures)
    return report


def is_analysis(name: str) -> bool:
    """Say whether a study is an analysis: it makes its own table and pictures (see `hearless.study.Question`)."""
    return "analyse" in vars(recipe_module(name))


def _each(
    module: ModuleType, lab: Lab, data: Spec, own: bool, backbones: Sequence[str], weights: str | Path | None,
    words: dict[str, Any], other_rates: bool,
) -> tuple[list[Any], str]:  # fmt: skip
    """Return a study's settings, one a backbone, and which data they are of in words."""
    words = {"paper": not own, "multi_label": lab.table(data).multi_label, **words}
    system = vars(module).get("SETTINGS", module.__name__.split(".")[-2])
    chosen = tuple(backbones) or module.BACKBONES
    each = [settings(system, data, backbone=b, weights=weights, **words) for b in chosen]
    other = {"data": own, "networks": bool(backbones), "weights": weights is not None, "rates": other_rates}
    return each, _task(lab, data, other)


def _task(lab: Lab, data: Spec, other: dict[str, bool]) -> str:
    """Say in words which data were used, and that a table with other data or networks is not the paper's task."""
    table = lab.table(data)
    recordings = len({clip.group for clip in table.clips})
    what = f"{len(table.clips)} clips of {recordings} recordings in {len(table.labels)} classes ({data.name})"
    changed = [name for name, is_other in other.items() if is_other]
    return f"{what}; not the paper's task: other {', '.join(changed)}." if changed else f"{what}, as in the paper."


def contents() -> dict[str, tuple[str, ...]]:
    """Return what there is: every shelf's classes, every recipe and study, every published weights file."""
    shelves = {shelf: class_names(shelf) for shelf in SHELVES}
    return {**shelves, "recipes and studies": recipe_names(), "weights": tuple(weights_table())}


def results(folders: Sequence[Run | str | Path], command: str = "", *, compare: bool = False) -> Report:
    """Return the table of finished runs: each folder is one run, or a recipe's runs over folds and seeds.

    Raises:
        HearlessError: a folder holds no finished run, or the runs' classes differ.
    """
    paths = [folder.path if isinstance(folder, Run) else Path(folder) for folder in folders]
    if not paths or len({path.resolve() for path in paths}) < len(paths):
        raise HearlessError(f"each run must be named once, got {', '.join(map(str, paths)) or 'none'}.")
    runs = [finished(path) for path in paths]
    measured = [each[0].measured for each in runs]
    labels, multi_label = tuple(measured[0]["labels"]), bool(measured[0]["multi_label"])
    if any(tuple(m["labels"]) != labels for m in measured):
        raise HearlessError("runs must share their classes to stand in one table; evaluate them apart.")
    done = [_evaluated(label, each) for label, each in zip(_names(runs), runs, strict=True)]
    pairs = ((done[0].row.label, done[1].row.label),) if compare else ()
    made = Study(
        "evaluate", "What these runs score on their test clips", _words_of(runs), tuple(d.row for d in done),
        seeds=tuple(sorted({s for d in done for s in d.seeds})), compare=pairs,
    )  # fmt: skip
    return evaluate.tabulate(made, done, labels, multi_label, command=command, commit=git_commit(Path(__file__).parent))


def _names(runs: Sequence[Sequence[Run]]) -> list[str]:
    """Return what a table calls each folder's runs: as short as tells them apart."""
    recipes = [each[0].recipe.name.rpartition("/")[2] for each in runs]
    placed = [f"{name}, {_places(each)}" for name, each in zip(recipes, runs, strict=True)]
    folders = [f"{each[0].path.parent.name}, {_places(each)}" for each in runs]
    whole = [str(each[0].path if len(each) == 1 else each[0].path.parent) for each in runs]
    return next(names for names in (recipes, placed, folders, whole) if len({*names}) == len(names) or names is whole)


def _places(runs: Sequence[Run]) -> str:
    """Say which folds and seeds there are: ``folds 1, 2, seed 0``."""
    said = []
    for what in ("fold", "seed"):
        values = sorted({str(run.measured[what]) for run in runs}, key=natural)
        said.append(f"{what}{'s' if len(values) > 1 else ''} {', '.join(values)}")
    return ", ".join(said)


def _evaluated(label: str, runs: Sequence[Run]) -> evaluate.Evaluated:
    found = evaluate.Evaluated(Row(label, {"tested on": _places(runs)}, (runs[0].recipe,)))
    for run in runs:
        measured, predictions = run.measured, Predictions.load(run.predictions("test"))
        found.add(measured["fold"], measured["seed"], predictions, run.read("done.json")["seconds"])
        place = measured["fold"], measured["seed"]
        if predictions.reference is None and (rule := evaluate.keep_calibration(run)):
            found.rules[place] = rule
        if noises := measured.get("noise_named"):
            found.noises[place] = float(np.mean([*noises.values()]))
    return found


def _words_of(runs: Sequence[Sequence[Run]]) -> str:
    measured = [{run.measured["fold"]: run.measured for run in each} for each in runs]
    n = max(sum(m["n_clips"]["test"] for m in folds.values()) for folds in measured)
    return f"{n} test clips, {len(runs[0][0].measured['labels'])} classes."


def picture(lab: Lab, path: Path, data: Spec, rates: Sequence[int] = (16000, 2000, 1000)) -> Path:
    """Draw one clip (a siren where there is one) as a classifier hears it at each rate: Mel spectrograms."""
    from hearless.pictures import spectrograms

    table = lab.table(data)
    clip = next((c for c in table.clips if c.labels[0] == "siren"), table.clips[0])
    panels = []
    for rate in rates:
        pipeline = settings("low_rate", data, backbone="mn02", bands=0).view(rate).build(len(table.labels)).eval()
        store = lab.store(table, [cast(Capture, pipeline.capture)])
        observation = pipeline.observe(torch.from_numpy(np.array(store.waveform(clip)))[None], store.rate_hz)
        title = f"{clip.labels[0]} at {rate / 1000:g} kHz"
        panels.append((title, pipeline.features(observation)[0, 0].numpy(), pipeline.axes(observation.shape[-1])))
    return spectrograms(panels, path, title="What a classifier hears", unit="log-Mel feature")
