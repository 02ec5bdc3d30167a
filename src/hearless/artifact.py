"""An exported ONNX file and how to run it: onnxruntime and numpy, no torch.

The file holds the whole pipeline behind the sensor: an observation (samples at the sensor's rate, or levels) goes in,
logits come out.  What must be known to feed and read it lies in its metadata as JSON, the `Card`.  An `Artifact` has
what `hearless.predict.Listener` asks for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hearless import calibration
from hearless.calibration import Calibration
from hearless.interfaces import HearlessError

KEY = "hearless"
"""Under which the card lies in the file's metadata."""

FORMAT = 1
INPUT, OUTPUT = "observation", "logits"
PRECISIONS = ("fp32", "int8")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Card:
    """What travels with an exported file.

    Attributes:
        run: the run that it was exported from.
        labels: the classes, in logit order.
        rate_hz: rate of the observation.
        window_s: how much it hears at once.
        multi_label: any number of classes at once (sigmoid), or exactly one (softmax).
        licence: of the weights and the data that they were trained on.
        sensor: what the sensor keeps, in words.
        free_length: other lengths than the window can be heard.
        min_window_s: the shortest.
        temperature: logits are divided by it, so that scores are calibrated.
        thresholds: per class, the score from which on it is said to be there; empty: not measured.
        none_below: of exactly one class, a best score below it is none of these; 0: not measured.
        precision: ``"fp32"`` or ``"int8"``.
        parameters: of the network.
        int8_parameters: how many of them lie in the file as int8.
        network_bytes: what the network's numbers take in the file.
        parity: what the gate measured.
        versions: of the packages that wrote it.
        source_rate_hz: of the recordings it was trained on, as far as they were heard; 0: not told.
        format: of this card.
    """

    run: str
    labels: tuple[str, ...]
    rate_hz: int
    window_s: float
    multi_label: bool = False
    licence: str = ""
    sensor: str = ""
    free_length: bool = False
    min_window_s: float = 0.0
    temperature: float = 1.0
    thresholds: tuple[float, ...] = ()
    none_below: float = 0.0
    precision: str = "fp32"
    parameters: int = 0
    int8_parameters: int = 0
    network_bytes: int = 0
    parity: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    source_rate_hz: int = 0
    format: int = FORMAT

    def __post_init__(self) -> None:
        if not self.labels or self.rate_hz < 1 or not self.window_s > 0:
            raise HearlessError(
                f"a card needs labels, a rate and a window, got {len(self.labels)} labels, {self.rate_hz} Hz and "
                f"{self.window_s} s; take them from the run's measured.json."
            )
        if self.source_rate_hz < 0:
            raise HearlessError(f"a card's source_rate_hz must be 0 (not told) or above, got {self.source_rate_hz}.")
        if self.precision not in PRECISIONS:
            raise HearlessError(f"a card's precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}.")
        Calibration(self.temperature, self.thresholds, self.none_below)  # refuses what is none
        if len(self.thresholds) not in (0, len(self.labels)):
            raise HearlessError(
                f"thresholds must be one a class or none, got {len(self.thresholds)} for {len(self.labels)} classes."
            )

    @property
    def n_samples(self) -> int:
        """The window in samples (or levels) of the observation."""
        return round(self.window_s * self.rate_hz)

    @property
    def minimum_rate_hz(self) -> int:
        """The lowest rate of recordings that it takes: its sensor's, or that of its training's where that is less.

        Sound between the two is up-sampled, as it was in training.
        """
        return min(self.rate_hz, self.source_rate_hz or self.rate_hz)

    def listening(self, classify: Callable[[Floats, int], Floats]) -> dict[str, Any]:
        """Return the arguments of a `hearless.predict.Listener` that classifies with ``classify``."""
        shortest = self.min_window_s if self.free_length else math.inf
        return {
            "classify": classify, "labels": self.labels, "rate_hz": self.rate_hz, "window_s": self.window_s,
            "multi_label": self.multi_label, "minimum_rate_hz": self.minimum_rate_hz, "min_window_s": shortest,
            "sensor": self.sensor, "least_s": self.min_window_s if self.free_length else 0.0,
            "thresholds": self.thresholds, "none_below": self.none_below,
        }  # fmt: skip

    def calibrated(self, logits: Floats) -> Floats:
        """Return calibrated logits."""
        return logits / np.float32(self.temperature)

    def check_rate(self, rate_hz: int, path: Path) -> None:
        """Refuse a waveform of another rate than the sensor's.

        Raises:
            HearlessError: names both rates.
        """
        if rate_hz != self.rate_hz:
            raise HearlessError(
                f"{path} hears {self.rate_hz} Hz and nothing else, got a waveform at {rate_hz} Hz; resample it "
                f"to {self.rate_hz} Hz first (hearless predict does) or export a run of that rate."
            )

    def to_text(self) -> str:
        """Return JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str, source: str) -> Card:
        """Read what `to_text` wrote; ``source`` names it in errors.

        Raises:
            HearlessError: it is no card, or one of a later format.
        """
        try:
            data = dict(json.loads(text))
            known = {one.name for one in fields(cls)}
            given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k in known}
            card = cls(**given)
        except (ValueError, TypeError) as error:
            raise HearlessError(f"{source} holds no readable card ({error}); export the run again.") from error
        if card.format > FORMAT:
            raise HearlessError(f"{source} is of format {card.format}, this hearless reads {FORMAT}; update hearless.")
        return card


class Artifact:
    """An exported ONNX file, ready to listen.

    Args:
        path: the file.
        threads: how many threads it may use; None leaves it to onnxruntime.
        integer: multiply in int8 where the file says so.  Faster on some machines, but biases are then rounded and old
            processors overflow; without it int8 weights are multiplied as the floats they stand for, as in PyTorch.

    Raises:
        HearlessError: onnxruntime is missing, the file cannot be read, or was not exported by hearless.
    """

    def __init__(self, path: str | Path, *, threads: int | None = None, integer: bool = False) -> None:
        if threads is not None and threads < 1:
            raise HearlessError(f"threads must be at least 1, got {threads}; None leaves it to onnxruntime.")
        self.path = Path(path)
        self._session = _session(self.path, threads, integer)
        found = self._session.get_modelmeta().custom_metadata_map.get(KEY)
        if found is None:
            raise HearlessError(f"{path} holds no card of hearless; export a run with `hearless export RUN --to onnx`.")
        self.card = Card.from_text(found, str(path))

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in logit order."""
        return self.card.labels

    @property
    def rate_hz(self) -> int:
        """The rate of the observation in Hz."""
        return self.card.rate_hz

    @cached_property
    def listening(self) -> dict[str, Any]:
        """The arguments of a `hearless.predict.Listener`."""
        if self.n_axes != 2:
            raise HearlessError(
                f"{self.path} hears levels, no sound; predict with the run itself: hearless predict RUN LOG.csv."
            )
        return self.card.listening(self.classify)

    @property
    def n_axes(self) -> int:
        """The axes of its input: 2 for ``[n, time]``, 3 for levels ``[n, band, time]``."""
        return len(self._session.get_inputs()[0].shape)

    def logits(self, observation: npt.NDArray[Any]) -> Floats:
        """Return the network's own logits ``[n, class]`` of observations ``[n, time]`` (or levels ``[n, band, time]``).

        Raises:
            HearlessError: not finite, of another shape, or of a length that this file cannot hear.
        """
        heard = np.ascontiguousarray(observation, dtype=np.float32)
        wanted = self.n_axes
        if heard.ndim != wanted or not len(heard) or not np.isfinite(heard).all():
            raise HearlessError(
                f"{self.path} hears finite observations of {wanted} axes, got shape {heard.shape}; "
                "add a batch axis, or mend the recording."
            )
        self._check_length(heard.shape[-1])
        return cast(Floats, self._session.run([OUTPUT], {INPUT: heard})[0])

    def _check_length(self, n_samples: int) -> None:
        card = self.card
        fits = n_samples >= round(card.min_window_s * card.rate_hz) if card.free_length else n_samples == card.n_samples
        if not fits:
            wanted = f"at least {card.min_window_s:g} s" if card.free_length else f"exactly {card.n_samples} samples"
            raise HearlessError(
                f"{self.path} hears {wanted} at once, got {n_samples} samples at {card.rate_hz} Hz; "
                "pad or cut the recording."
            )

    def classify(self, waveform: npt.NDArray[Any], rate_hz: int) -> Floats:
        """Return calibrated logits ``[n, class]`` of waveforms ``[n, time]`` at ``rate_hz``.

        Raises:
            HearlessError: another rate than the sensor's, or what `logits` refuses.
        """
        self.card.check_rate(rate_hz, self.path)
        return self.card.calibrated(self.logits(waveform))

    def predict(self, samples: npt.NDArray[Any], rate_hz: int) -> dict[str, float]:
        """Return the score of every class, best first, for samples ``[time]`` of one window.

        Raises:
            HearlessError: as in `classify`.
        """
        logits = self.classify(np.asarray(samples)[None], rate_hz)[0].astype(np.float64)
        scores = calibration.scores(logits, multi_label=self.card.multi_label)
        return {self.labels[i]: float(scores[i]) for i in np.argsort(-scores, kind="stable")}


def _session(path: Path, threads: int | None, integer: bool) -> Any:
    """Open a file in onnxruntime, on the CPU."""
    try:
        import onnxruntime
    except ImportError as error:
        raise HearlessError(f"running {path} needs onnxruntime: pip install 'hearless[onnx]'.") from error
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "0" if integer else "1")
    options.log_severity_level = 4  # its errors come as exceptions as well
    if threads is not None:
        options.intra_op_num_threads = options.inter_op_num_threads = threads
    if not path.is_file():
        raise HearlessError(f"{path} is not there; name an exported .onnx file.")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own kinds
        raise HearlessError(f"{path} cannot be run by onnxruntime: {error}; export the run again.") from error
