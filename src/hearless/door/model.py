"""A trained pipeline that listens: to files, to samples and to logs of levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hearless import audio, logs
from hearless import predict as predicting
from hearless.calibration import Calibration
from hearless.captures.third_octave import ThirdOctave
from hearless.door.shown import Shown, layers_of
from hearless.dsp.octave_bands import edges_hz
from hearless.interfaces import Capture, HearlessError
from hearless.levels import FORMATS, LevelLog, estimated_offset_db, median_db, open_levels
from hearless.pipeline import Pipeline
from hearless.teachers import Pretrained
from hearless.weights import load_pretrained

if TYPE_CHECKING:
    from hearless.pictures import Layer

TRANSCODER = (
    "hearless train --labels TABLE.csv --method spectral_transcoder/light --backbone yamnet --set interval={interval}"
)
"""The command that trains a model of levels."""

MEDIAN_ROWS = 691_200
"""Rows of a log that its offset is estimated from, at most: a day of fast levels."""

DEAF_DB = 10.0
"""How far above its training clips' median a band may lie in which they had no sound."""

NOTHING_DB = -154.0
"""What `ThirdOctave` gives of digital silence."""

SURPRISING_DB = 20.0
"""A given offset that lies further than this from the estimated one is told of."""

Say = Callable[[str], None]


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
        heard_to_hz: how high its training clips' sound reached; levels of bands above are held down to theirs.
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
    heard_to_hz: float = math.inf

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
            logits = self.pipeline(self._within(torch.from_numpy(levels_db).to(device))).logits
        return self._chances(self._calibrated(logits))

    @property
    def unheard(self) -> tuple[bool, ...]:
        """Which bands of levels lie wholly above its training clips' sound."""
        edges = edges_hz(cast(ThirdOctave, self.pipeline.capture).octaves)
        return tuple(low >= self.heard_to_hz for low in edges[:-1].tolist())

    @cached_property
    def _highest_db(self) -> Tensor | None:
        """The highest level that each band may have ``[band, 1]``, None where all were heard in training."""
        unheard = self.unheard
        if not any(unheard) or len(self.median_db) != len(unheard):
            return None
        theirs = np.nan_to_num(np.array(self.median_db) + DEAF_DB, nan=NOTHING_DB)
        return torch.from_numpy(np.where(unheard, theirs, np.inf)[:, None].astype(np.float32))

    def _within(self, levels_db: Tensor) -> Tensor:
        """Return levels ``[batch, band, frame]`` with no more in a band than its training clips had there.

        A network that never heard anything in a band makes no sense of what a meter writes there.
        """
        highest = self._highest_db
        return levels_db if highest is None else torch.minimum(levels_db, highest.to(levels_db))

    @property
    def listener(self) -> predicting.Listener:
        """The model as `hearless.predict` wants it."""
        capture = cast(Capture, self.pipeline.capture)
        rate_hz = capture.source_rate_hz
        return predicting.Listener(
            self._classify, self.labels, rate_hz, self.window_s, self.multi_label,
            minimum_rate_hz=capture.minimum_rate_hz, sensor=f"{type(capture).__name__} at {capture.rate_hz} Hz",
            least_s=self._least_s, thresholds=self.calibration.thresholds, none_below=self.calibration.none_below,
        )  # fmt: skip

    @cached_property
    def _least_s(self) -> float:
        """The shortest sound that its network hears by itself."""
        return self.pipeline.least_s(self.window_s)

    def _classify(self, waveform: NDArray[np.float32], rate_hz: int) -> NDArray[Any]:
        with torch.inference_mode():
            logits = self.pipeline(self._observe(waveform, rate_hz)).logits
        return self._calibrated(logits).numpy()

    def _calibrated(self, logits: Tensor) -> Tensor:
        return logits.float().cpu() / self.calibration.temperature

    def _observe(self, waveform: NDArray[np.float32], rate_hz: int) -> Tensor:
        device = self.pipeline.torch_device
        kept = self.pipeline.observe(torch.from_numpy(np.ascontiguousarray(waveform)).to(device), rate_hz)
        return self._within(kept) if self.hears_levels else kept

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
        start_s: float = 0.0, say: Say = lambda text: None, **reading: Any,
    ) -> Shown:  # fmt: skip
        """Draw what the model makes of one window of a file: features, its enhancer's mask and output, best classes.

        Args:
            sound: the file; one shorter than the window is heard, and drawn, with padding after it.  For a model of
                levels also a level table.
            path: of the picture; its ending says the kind.  Default: ``SOUND.show.png`` in the current folder.
            top: how many classes its title names.
            db_offset: added to the levels of a table; None: estimated, and ``say`` is told the evidence.
            start_s: where the window begins, in s from the file's beginning; of a level table gaps are not counted.
            say: told so.
            reading: how a level table is read: arguments of `hearless.levels.open_levels`.

        Raises:
            HearlessError: the file cannot be read or was recorded below the model's rate; something is not finite.
        """
        from hearless.pictures import layers

        file = Path(sound)
        stack, best, seconds = self.heard(file, top, Opening(start_s, db_offset, say, reading))
        shown = Shown(
            file, Path(path or f"{file.stem}.show.png"), seconds, min(seconds - start_s, self.window_s), best, stack,
            start_s=start_s,
        )  # fmt: skip
        layers(stack, shown.picture, title=shown.title(self.name))
        return shown

    def heard(
        self, file: Path, top: int = 3, how: Opening | None = None
    ) -> tuple[tuple[Layer, ...], dict[str, float], float]:  # fmt: skip
        """Return what its parts make of one window of a file, its best classes, and the seconds of the whole file."""
        if top < 1:
            raise HearlessError(f"top must be at least 1, got {top}.")
        how = how or Opening()
        observation, seconds = self.opening(file, self.window_s, how)
        try:
            stack, logits = self._parts(observation, min(seconds - how.start_s, self.window_s))
            scores = self._ranked(self._chances(logits))
        except HearlessError as error:
            raise HearlessError(f"{file}: {error}") from error
        return stack, {label: scores[label] for label in list(scores)[:top]}, seconds

    def opening(self, file: Path, length_s: float, how: Opening) -> tuple[Tensor, float]:
        """Return what its sensor keeps of ``length_s`` of a file ``[1, …]``, and the seconds of the whole file.

        A sound shorter than ``length_s`` is filled up with silence, a level table with its last level.
        """
        if is_level_table(file):
            return self._opening_of_log(file, length_s, how)
        found = audio.info(file)
        if how.start_s >= found.duration_s:
            raise HearlessError(f"{file}: start must lie in its {found.duration_s:g} s, got {how.start_s:g}.")
        samples, rate_hz = audio.read(file, min(found.rate_hz, self.listener.rate_hz), how.start_s, length_s)
        size = round(length_s * rate_hz)
        samples = np.pad(samples[:size], (0, max(0, size - len(samples))))
        try:
            with torch.inference_mode():
                return self._observe(samples[None], rate_hz), found.duration_s
        except HearlessError as error:
            raise HearlessError(f"{file}: {error}") from error

    def _opening_of_log(self, file: Path, length_s: float, how: Opening) -> tuple[Tensor, float]:
        listener = self.level_listener(length_s)
        log = open_levels(file, **how.reading)
        logs.check(log.table, listener, logs.Wanted())
        first_row = round(how.start_s / listener.interval_s)
        levels_db, n_there = logs.beginning(log, listener.n_rows + 1, first_row)
        offset_db = settled_offset_db(self, log, how.db_offset, how.say)
        heard = np.ascontiguousarray(levels_db[: listener.n_rows].T[None] + np.float32(offset_db))
        n_rows = first_row + n_there if n_there <= listener.n_rows else max(first_row + n_there, logs.n_rows(log))
        return self._within(torch.from_numpy(heard).to(self.pipeline.torch_device)), n_rows * listener.interval_s

    def original(self) -> Model | None:
        """Return the frozen classifier that its transcoder was trained beside, hearing the sound itself; else None."""
        if self.beside is None or self.beside.pipeline is None:
            return None
        pipeline = self.beside.pipeline.build(len(self.labels))
        load_pretrained(pipeline, self.beside.weights, self.beside.sha256, replace_output=False)
        on = pipeline.on(self.pipeline.torch_device.type).eval()
        return Model(on, self.labels, self.multi_label, self.window_s, type(on.classifier).__name__)

    def _parts(self, observation: Tensor, end_s: float) -> tuple[tuple[Layer, ...], Tensor]:
        """Return what front end and enhancer make of an observation of a sound that ends there, and its logits."""
        with torch.inference_mode():
            features = self.pipeline.features(observation)
            logits = self.pipeline.judge(features).logits[0]
            return layers_of(self.pipeline, observation, features, end_s), self._calibrated(logits)

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
        if len(samples) / rate < self._least_s:
            raise HearlessError(
                f"samples must last at least {self._least_s:g} s, got {len(samples) / rate:g} s; record longer."
            )
        size = round(self.window_s * rate)
        scores = np.zeros(len(self.labels))
        for start in range(0, len(samples), size):
            part = samples[start : start + size]
            logits = torch.from_numpy(self._classify(np.pad(part, (0, size - len(part)))[None], rate)[0])
            scores += len(part) / len(samples) * self._chances(logits)
        return scores


@dataclass(frozen=True)
class Opening:
    """Which part of a file is looked at or listened to, and how a level table is read.

    Attributes:
        start_s: where it begins, in s; of a level table gaps are not counted.
        db_offset: added to the levels of a table; None: estimated.
        say: told the evidence.
        reading: arguments of `hearless.levels.open_levels`.
    """

    start_s: float = 0.0
    db_offset: float | None = None
    say: Say = lambda text: None
    reading: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.start_s < math.inf:
            raise HearlessError(f"start must be at least 0 s, got {self.start_s:g}.")


def is_level_table(file: Path) -> bool:
    """Say whether a file is one of levels, by its extension."""
    return file.suffix.lower() in FORMATS and not file.is_dir()


def offset_db_of(model: Model, log: LevelLog, say: Callable[[str], None]) -> float:
    """Estimate what to add to a log's levels and tell why."""
    if not model.median_db:
        say("offset 0 dB: the model's run tells no levels of its training clips; give --db-offset.")
        return 0.0
    head = takewhile(lambda block: block.first_row < MEDIAN_ROWS, log.blocks(8192))
    offset_db, evidence = estimated_offset_db(median_db(head), model.median_db)
    say(f"{evidence}.  Another offset: --db-offset.")
    return round(offset_db, 1)


def settled_offset_db(model: Model, log: LevelLog, given: float | None, say: Callable[[str], None]) -> float:
    """Return what to add to a log's levels: what is given, told of where it surprises, or an estimate."""
    if given is None:
        return offset_db_of(model, log, say)
    evidence = list[str]()
    with suppress(HearlessError):  # where nothing can be estimated, what is given is all there is
        likely = offset_db_of(model, log, evidence.append)
        if model.median_db and abs(given - likely) > SURPRISING_DB:
            say(f"offset {given:+.1f} dB as given, though the levels suggest {likely:+.1f} dB: {evidence[0]}")
    return given


def _full_scale(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Return samples as float32 in -1 … 1; int16 and int32 by their full scale."""
    if samples.dtype in (np.int16, np.int32):
        return (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
    if not np.issubdtype(samples.dtype, np.floating):
        raise HearlessError(f"samples must be float, int16 or int32, got {samples.dtype}; convert them.")
    return samples.astype(np.float32)
