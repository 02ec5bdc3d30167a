"""What resting parts make of sound that comes again unchanged: made once a stage, not once an epoch.

A head behind a frozen classifier, or a validation part in each epoch, meets the same windows again and again; whatever
stands before the first part that trains says the same of them every time.  Up to `LIMIT` bytes are kept; what is more
is made anew, with the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

import torch
from torch import Tensor

from hearless.interfaces import Batch, HearlessError, Prediction
from hearless.loading import Loader
from hearless.pipeline import PARTS, Pipeline

LIMIT = 2**29
"""Bytes that one stage may keep."""

Entering = Tensor | Prediction
"""What enters a part: features, or for a head what the classifier says."""

T = TypeVar("T")


def first_trained(pipeline: Pipeline, trains: Sequence[str]) -> str:
    """Return the first part of a pipeline that trains.

    Raises:
        HearlessError: the pipeline has none of them.
    """
    for part in PARTS:
        if part in trains and part in pipeline.parts():
            return part
    raise HearlessError(f"trains must name a part of the pipeline ({', '.join(pipeline.parts())}), got {trains!r}.")


@dataclass
class Kept:
    """Results by key, up to a limit of bytes."""

    limit: int = LIMIT
    results: dict[Hashable, object] = field(default_factory=dict)
    n_bytes: int = 0

    def of(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the result of a key, made if it is not kept; all of one key are of one kind."""
        if key in self.results:
            return cast(T, self.results[key])
        made = make()
        self.n_bytes += size(made)
        if self.n_bytes <= self.limit:
            self.results[key] = made
        return made


@dataclass(frozen=True)
class Known:
    """What enters the first part that trains, of every clip of a loader that serves the same in each epoch."""

    entering: Entering
    rows: dict[str, int]

    def __call__(self, batch: Batch) -> Entering:
        """Return what enters for a batch of these clips."""
        return _rows(self.entering, torch.tensor([self.rows[clip.id] for clip in batch.clips]))


@torch.no_grad()
def known(pipeline: Pipeline, part: str, loader: Loader, torch_device: str = "cpu", limit: int = LIMIT) -> Known | None:
    """Return what enters ``part`` for every clip, or None where clips change or all of it would not fit.

    Clips are heard in the table's order, so that a training that resumes starts from the same bits.
    """
    if not loader.repeats:
        return None
    made: list[Entering] = []
    for batch in loader.in_order():
        entering = pipeline.before(part, *pipeline.hear(batch, torch_device))
        if not made and size(entering) / len(batch.clips) * len(loader.clips) > limit:
            return None
        made.append(entering)
    return Known(_joined(made), {clip.id: i for i, clip in enumerate(loader.clips)})


def size(made: object) -> int:
    """Return the bytes of the tensors in a result."""
    if isinstance(made, Tensor):
        return made.nbytes
    if isinstance(made, Prediction):
        return size(tuple(_fields(made)) + tuple(made.maps.values()))
    return sum(size(one) for one in made) if isinstance(made, tuple) else 0


def _fields(said: Prediction) -> list[Tensor]:
    return [one for one in (said.logits, said.embedding, said.features) if one is not None]


def _said(fields: Sequence[Tensor]) -> Prediction:
    return Prediction(fields[0], fields[1], fields[2] if len(fields) > 2 else None)


def _rows(entering: Entering, rows: Tensor) -> Entering:
    if isinstance(entering, Tensor):
        return entering[rows.to(entering.device)]
    return _said([one[rows.to(one.device)] for one in _fields(entering)])


def _joined(made: Sequence[Entering]) -> Entering:
    tensors = [one for one in made if isinstance(one, Tensor)]
    if len(tensors) == len(made):
        return torch.cat(tensors)
    said = [_fields(one) for one in made if isinstance(one, Prediction)]
    return _said([torch.cat(each) for each in zip(*said, strict=True)])
