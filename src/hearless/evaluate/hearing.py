"""Pipeline + clips → predictions.

Longer clips are heard in windows and their logits averaged.  Where a listener is judged by how far it agrees with a
teacher, over the teacher's own classes, its scores are averaged instead (paper 003).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hearless import calibration
from hearless.calibration import Calibration
from hearless.interfaces import Batch, Prediction
from hearless.loading import Loader
from hearless.pipeline import PARTS, Pipeline
from hearless.resting import Kept
from hearless.run import Predictions

Explain = Callable[[Batch], Prediction]
"""A teacher at work."""


def predictions(
    pipeline: Pipeline, loader: Loader, *, torch_device: str = "cpu", explain: Explain | None = None,
    part: str = PARTS[0], kept: Kept | None = None,
) -> Predictions:  # fmt: skip
    """Return what the pipeline, in eval mode, says of every clip of the loader; with ``explain``, beside a teacher.

    ``kept`` holds what enters ``part``, and what the teacher says, for the next call on the same loader.
    """
    kept = kept or Kept(limit=0)
    was_training = pipeline.training
    pipeline.eval()
    said, referred, distance = (_Mean(len(loader.clips)) for _ in range(3))
    with torch.inference_mode():
        for place, (batch, rows, share) in enumerate(loader.windows()):
            one = pipeline.onward(part, kept.of((part, place), partial(_entering, pipeline, part, batch, torch_device)))
            if explain is None:
                said.add(rows, share, one.logits)
                continue
            other = kept.of(("teacher", place), partial(explain, batch))
            said.add(rows, share, one.logits.double().sigmoid())
            referred.add(rows, share, other.logits.double().sigmoid())
            distance.add(rows, share, differences(one, other)[:, None])
    pipeline.train(was_training)
    ids, groups = np.array([clip.id for clip in loader.clips]), np.array([clip.group for clip in loader.clips])
    known = any(clip.device for clip in loader.clips)
    devices = np.array([clip.device or "" for clip in loader.clips]) if known else None
    if explain is None:
        targets = loader.table.targets(loader.clips)
        return Predictions(ids, targets, said.value.astype(np.float32), groups, devices=devices)
    reference = _logit(referred.value)
    first = np.eye(reference.shape[1], dtype=np.float32)[reference.argmax(1)]
    apart = distance.value[:, 0].astype(np.float32)
    return Predictions(ids, first, _logit(said.value), groups, reference, apart, devices)


def _entering(pipeline: Pipeline, part: str, batch: Batch, torch_device: str) -> Tensor | Prediction:
    return pipeline.before(part, *pipeline.hear(batch, torch_device))


@dataclass
class _Mean:
    """A mean over each clip's windows, every window weighed by its share."""

    n_clips: int
    total: NDArray[np.float64] | None = None
    heard: NDArray[np.float64] | None = None

    def add(self, rows: NDArray[np.int64], share: NDArray[np.float64], values: Tensor) -> None:
        if self.total is None or self.heard is None:
            self.total, self.heard = np.zeros((self.n_clips, values.shape[1])), np.zeros((self.n_clips, 1))
        np.add.at(self.total, rows, share[:, None] * values.double().cpu().numpy())
        np.add.at(self.heard, rows, share[:, None])

    @property
    def value(self) -> NDArray[np.float64]:
        if self.total is None or self.heard is None:
            return np.zeros((self.n_clips, 1))
        return self.total / self.heard


def _logit(scores: NDArray[np.float64]) -> NDArray[np.float32]:
    kept = np.clip(scores, 1e-12, 1 - 1e-12)
    return np.log(kept / (1 - kept)).astype(np.float32)


def differences(one: Prediction, other: Prediction) -> Tensor:
    """Return each clip's mean squared difference of the features that two classifiers saw; NaN where axes differ."""
    a, b = one.features, other.features
    if a is None or b is None or a.shape != b.shape:
        return torch.full((len(one.logits),), torch.nan)
    return (a.float() - b.float()).square().mean((1, 2, 3))


def noise_named(
    pipeline: Pipeline, n_samples: int, rate_hz: int, rule: Calibration, *, multi_label: bool, torch_device: str = "cpu"
) -> dict[str, float]:
    """Return the share of windows of silence and of each noise that the pipeline, in eval mode, gives a class."""
    was_training = pipeline.training
    pipeline.eval()
    shares = {}
    for name, sound in calibration.noises(n_samples).items():
        with torch.inference_mode():
            logits = pipeline(pipeline.observe(torch.from_numpy(sound).to(torch_device), rate_hz)).logits
        finite = logits.isfinite().all(1).cpu().numpy()
        calm = logits.nan_to_num().double().cpu().numpy()
        scores = calibration.scores(calm, rule.temperature, multi_label=multi_label)
        shares[name] = float((rule.named(scores, multi_label=multi_label).any(1) & finite).mean())
    pipeline.train(was_training)
    return shares
