"""The nouns of hearless and what each shelf promises.  Read this first.

Axis order everywhere: waveforms ``[batch, time]``, features ``[batch, 1, band, frame]``, targets
``[batch, class]``.  Rates are ints in Hz.  A *device* is the recording device; the torch one is
``torch_device``.  A *frame* is time, a *band* is frequency.

This module imports no torch: it is read by the parts that run without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import Generator, Tensor

    from hearless.spec import Spec

Draw = Mapping[str, float]
"""One random draw of one augmentation for one clip: plain numbers, so that it can be replayed."""

Needs = Literal["logits", "embedding", "features", "maps"]
"""What of a prediction an objective compares: the logits alone, or they and one thing more."""


class HearlessError(ValueError):
    """Bad input, said so that it can be mended: name, rule, value, remedy."""


class UnknownSettingError(HearlessError):
    """A setting of a name that is none."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A labelled excerpt of a sound file.

    ``labels`` holds one label or, for multi-label sets, any number.  A clip has a ``fold`` (tested in
    turn) or a ``split`` (``"train"``, ``"validation"``, ``"test"``), or neither where the data set draws
    its own.  ``recording`` names the source recording: clips that share it never part in a split.
    ``duration_s=None`` means up to the end of the file.
    """

    id: str
    path: Path
    labels: tuple[str, ...]
    start_s: float = 0.0
    duration_s: float | None = None
    fold: str | None = None
    split: str | None = None
    recording: str = ""
    device: str | None = None

    @property
    def group(self) -> str:
        """The source recording, or the clip's own id where none is known."""
        return self.recording or self.id


@dataclass(frozen=True, slots=True)
class Remote:
    """A file to download: where, under which name, and how to know that it arrived whole.

    ``checksum`` is ``"sha256:…"`` or ``"md5:…"``; None means that none is published.
    """

    url: str
    filename: str
    checksum: str | None
    unpack: bool = False

    @property
    def sha256(self) -> str:
        """The published SHA-256, or "" where none is."""
        return (self.checksum or "").partition("sha256:")[2]


@dataclass(frozen=True, slots=True)
class Weights:
    """A published weights file of a classifier: one row of its file's weights table.

    ``arguments`` are the classifier's constructor arguments, ``frontend`` the features it was trained on,
    ``labels`` the name of its label set in `hearless.labels`.  Without them it is a start for training, no listener
    (weights of images).
    """

    remote: Remote
    licence: str
    source: str
    arguments: Mapping[str, Any]
    frontend: Spec | None = None
    labels: str = ""

    @property
    def view(self) -> Spec:
        """The front end of a listener.

        Raises:
            HearlessError: these weights are a start for training.
        """
        if self.frontend is None:
            raise HearlessError(f"{self.source}: a start for training, no listener; train it, then name the run.")
        return self.frontend


@dataclass(frozen=True, slots=True)
class Axes:
    """Where features lie.

    Attributes:
        band_hz: centre of each band in Hz.
        frame_s: seconds between frames.
        n_frames: the number of frames.
        mask_value: what a value of 0 before the front end's normalisation is after it; masks are filled with it.
    """

    band_hz: tuple[float, ...]
    frame_s: float
    n_frames: int
    mask_value: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """An augmentation of features, or a keep mask, drawn for a batch: each ear renders it on its own axes."""

    augmentation: Augmentation
    draws: Sequence[Draw]


@dataclass(slots=True)
class Batch:
    """Clips ready for a pipeline.

    Attributes:
        waveform: float32 ``[batch, time]`` at ``rate_hz``, the highest rate that any view asks for.
        target: float32 ``[batch, class]``, one-hot or multi-hot (or mixed).
        clips: the clips, in batch order.
        weight: float32 ``[batch]``, each clip's weight in the loss.
        taught: what the teacher hears, where some augmentation is for the student alone; else None (the same).
        changes: what is done to features and inside the classifier, in order.
    """

    waveform: Tensor
    rate_hz: int
    target: Tensor
    clips: tuple[Clip, ...]
    weight: Tensor
    taught: Tensor | None = None
    changes: tuple[Change, ...] = ()

    @property
    def devices(self) -> tuple[str | None, ...]:
        """The recording device of each clip."""
        return tuple(clip.device for clip in self.clips)


@dataclass(slots=True)
class Prediction:
    """What a pipeline says of a batch.

    Attributes:
        logits: ``[batch, class]``.
        embedding: ``[batch, dimension]``, what leaves the penultimate layer.
        features: ``[batch, 1, band, frame]``, what the classifier saw.
        maps: inner activations by name, only when asked for.
    """

    logits: Tensor
    embedding: Tensor
    features: Tensor | None = None
    maps: dict[str, Tensor] = field(default_factory=dict)


@runtime_checkable
class Dataset(Protocol):
    """A corpus.  Constructors take plain values and touch no file.

    ``labels`` in class order, or None: those found in the table, sorted.  ``multi_label`` None: decided by
    the table (some clip has not exactly one label).
    """

    labels: tuple[str, ...] | None
    multi_label: bool | None
    licence: str
    source: str
    remotes: tuple[Remote, ...]

    def clips(self, root: Path) -> list[Clip]:
        """Return every clip below ``root``; raise `HearlessError` listing all that is wrong with the table."""
        ...


class Capture(Protocol):
    """What the sensor keeps of the sound and nothing else (a torch module, nothing learned).

    ``rate_hz`` is the observation's rate, ``source_rate_hz`` the rate of the waveform it would hear,
    ``minimum_rate_hz`` the lowest rate it accepts (1 where it up-samples).
    """

    rate_hz: int
    source_rate_hz: int
    minimum_rate_hz: int

    def __call__(self, waveform: Tensor, rate_hz: int, devices: Sequence[str | None] = ()) -> Tensor:
        """Turn ``[batch, time]`` at ``rate_hz`` into the observation."""
        ...


class Frontend(Protocol):
    """Observation → features (a torch module, nothing learned).  Set in Hz and ms."""

    input_rate_hz: int
    n_bands: int

    def __call__(self, observation: Tensor) -> Tensor:
        """Turn samples ``[batch, time]`` into features ``[batch, 1, band, frame]``."""
        ...

    def axes(self, n_samples: int) -> Axes:
        """Say where the features of an observation of ``n_samples`` lie."""
        ...


class Enhancer(Protocol):
    """Features → features, learned or linear (a torch module)."""

    def __call__(self, features: Tensor) -> Tensor:
        """Turn ``[batch, 1, band, frame]`` into features of the classifier's axes."""
        ...


@runtime_checkable
class Masking(Protocol):
    """An enhancer whose output is its input times a mask, on the same axes, and that shows the mask alone."""

    def mask(self, features: Tensor) -> Tensor:
        """Return the mask ``[batch, 1, band, frame]``; raise `HearlessError` where it is not finite."""
        ...


@runtime_checkable
class Transcoder(Protocol):
    """An enhancer that makes the Mel features of a classifier, says where they lie and lets people hear them."""

    def axes(self, n_frames: int) -> Axes:
        """Say where so many frames of what it makes lie."""
        ...

    def sound(self, features: Tensor, generator: Generator) -> tuple[Tensor, int]:
        """Return samples ``[batch, time]`` that have nearly these features, as it makes them, and their rate in Hz."""
        ...


class Classifier(Protocol):
    """Features → logits and embedding (a torch module).

    Its file ends with ``WEIGHTS: dict[str, Weights]``, its published files by short name.
    """

    n_classes: int
    min_frames: int
    min_bands: int

    def __call__(self, features: Tensor, keep: Tensor | None = None, *, maps: bool = False) -> Prediction:
        """Classify ``[batch, 1, band, frame]``; ``keep`` (0/1, same shape) masks after input normalisation."""
        ...

    def load_official(self, state: Mapping[str, Tensor], *, replace_output: bool = False) -> None:
        """Load a published state dict strictly, less its front-end tensors (and, on request, the last layer)."""
        ...

    @classmethod
    def recognise(cls, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
        """Return the constructor arguments that fit a state dict's keys and shapes, or None."""
        ...


class Head(Protocol):
    """Classifier scores or embedding → target classes (a torch module)."""

    n_classes: int

    def __call__(self, prediction: Prediction) -> Prediction:
        """Return a prediction over the target classes."""
        ...


class Objective(Protocol):
    """Compares student, teacher and target (a torch module around a pure function).

    ``needs`` says what of a prediction it compares beside the logits: of a stored teacher the embedding at most, and
    inner maps are kept only where it says ``"maps"``.
    """

    needs_teacher: bool
    needs: Needs

    def bind(self, student: Prediction, teacher: Prediction | None) -> None:
        """Make what parameters it owns from one example of each prediction."""
        ...

    def __call__(
        self, student: Prediction, teacher: Prediction | None, target: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """Return named scalar terms; their sum is the loss.  ``weight`` is each clip's."""
        ...


@runtime_checkable
class Scheduled(Protocol):
    """An objective that changes while a stage goes on."""

    def at(self, done: float) -> None:
        """Say, before each step, which share of the stage is over (0 … 1)."""
        ...


class Augmentation(Protocol):
    """A random change, drawn apart from applied.

    ``place``: ``"waveform"``, ``"features"``, ``"keep"`` (a mask multiplied inside the classifier) or ``"clips"``
    (linear in the batch: done to waveforms, targets and weights alike).  ``hearers``: both ears or the student only.
    ``level``: drawn per clip, or per batch: in the batch's order from one generator.
    """

    place: Literal["waveform", "features", "keep", "clips"]
    hearers: Literal["both", "student"]
    level: Literal["clip", "batch"]

    def draw(self, rng: np.random.Generator, clip: Clip, duration_s: float) -> Draw:
        """Draw one clip's change."""
        ...

    def apply(self, tensor: Tensor, draws: Sequence[Draw], where: int | Axes) -> Tensor:
        """Apply the draws to ``[batch, …]`` at rate ``where``, or to features (or a mask of ones) on axes ``where``."""
        ...
