"""Clips → batches.

Sound is decoded once per (clip table, rate) into one memory-mapped file keyed by content; batches are slices of it.
Every random draw comes from a key such as (seed, epoch, clip): nothing is global, everything can be replayed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from hearless import audio, splits
from hearless.download import cache_folder
from hearless.dsp.background import background
from hearless.interfaces import Augmentation, Batch, Change, Clip, Dataset, Draw, HearlessError
from hearless.plural import plural
from hearless.spec import digest

Progress = Callable[[int, int], None]
"""Called with (done, total)."""

T = TypeVar("T")


def generator(*key: int | str) -> np.random.Generator:
    """Return the random generator of a key such as ``(seed, epoch, clip id)``."""
    hashed = hashlib.sha256(json.dumps(key).encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(hashed[:16], dtype=np.uint64)))


@dataclass(frozen=True)
class Table:
    """Every clip of a data set with its classes and the hash of its sound.

    Attributes:
        clips: all clips, in the data set's order.
        labels: class names in class order.
        multi_label: True where a clip may have any number of labels.
        hashes: SHA-256 of each clip's file.
    """

    clips: tuple[Clip, ...]
    labels: tuple[str, ...]
    multi_label: bool
    hashes: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """Hash of ids, labels, folds, excerpts and sound; never of paths."""
        rows = [
            [c.id, c.labels, c.fold, c.split, c.group, c.device, c.start_s, c.duration_s, h]
            for c, h in zip(self.clips, self.hashes, strict=True)
        ]
        return digest([self.labels, self.multi_label, rows])

    def hashes_of(self, clips: Sequence[Clip]) -> list[str]:
        """Return the hash of each clip's file."""
        of_id = dict(zip((clip.id for clip in self.clips), self.hashes, strict=True))
        return [of_id[clip.id] for clip in clips]

    def targets(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        """Return ``[clip, class]``, one-hot or multi-hot."""
        place = {label: i for i, label in enumerate(self.labels)}
        target = np.zeros((len(clips), len(self.labels)), np.float32)
        for row, clip in zip(target, clips, strict=True):
            row[[place[label] for label in clip.labels]] = 1
        return target


def read_table(dataset: Dataset, root: Path) -> Table:
    """Read a data set's clips, check them for leaks and unknown labels, and hash their sound."""
    clips = tuple(dataset.clips(root))
    _check_ids(clips)
    splits.check_leaks(clips)
    found = sorted({label for clip in clips for label in clip.labels})
    labels = dataset.labels or tuple(found)
    unknown = [label for label in found if label not in labels]
    if unknown:
        raise HearlessError(f"labels must be classes of the data set, got {', '.join(unknown)}; remove or map them.")
    used = tuple(label for label in labels if label in set(found)) if dataset.labels else labels
    multi = any(len(c.labels) != 1 for c in clips) if dataset.multi_label is None else dataset.multi_label
    by_path = _each_file(clips, audio.content_hash)
    return Table(clips, used, multi, tuple(by_path[clip.path] for clip in clips))


def _check_ids(clips: Sequence[Clip]) -> None:
    twice = [clip_id for clip_id, n in Counter(clip.id for clip in clips).items() if n > 1]
    if twice:
        raise HearlessError(
            f"clip ids must differ, got {len(twice)} more than once ({', '.join(twice[:5])}); mend them."
        )


def _each_file(clips: Sequence[Clip], ask: Callable[[Path], T]) -> dict[Path, T]:
    """Return what ``ask`` says of each file, all unreadable ones listed in one error."""
    said: dict[Path, T] = {}
    wrong = []
    for path in dict.fromkeys(clip.path for clip in clips):
        try:
            said[path] = ask(path)
        except HearlessError as error:
            wrong.append(str(error))
    _refuse(wrong)
    return said


@dataclass(frozen=True)
class AudioStore:
    """Decoded sound of a table at one rate, memory-mapped."""

    rate_hz: int
    samples: NDArray[np.float32]
    starts: dict[str, tuple[int, int]]

    def waveform(self, clip: Clip) -> NDArray[np.float32]:
        """Return a clip's samples (a view, not a copy)."""
        start, stop = self.starts[clip.id]
        return self.samples[start:stop]

    def seconds(self, clip: Clip) -> float:
        """Return a clip's duration in s."""
        start, stop = self.starts[clip.id]
        return (stop - start) / self.rate_hz


def highest_rate_hz(clips: Sequence[Clip]) -> int:
    """Return the highest sampling rate among the clips' files, all unreadable ones listed in one error."""
    return max(info.rate_hz for info in _each_file(clips, audio.info).values())


def _refuse(wrong: Sequence[str]) -> None:
    if wrong:
        listed = "\n  ".join(wrong[:20])
        more = f"\n  … and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        them = "it" if len(wrong) == 1 else "them"
        raise HearlessError(f"{plural(len(wrong), 'clip')} cannot be used; mend or remove {them}:\n  {listed}{more}")


def open_store(
    table: Table, rate_hz: int, *, cache: Path | None = None, progress: Progress | None = None
) -> AudioStore:
    """Return the table's decoded sound, decoding it if no earlier call did.

    Safe when two processes build it at once: each decodes into a folder of its own and the first to finish names it.
    """
    key = digest(
        [rate_hz, [[h, c.id, c.start_s, c.duration_s] for c, h in zip(table.clips, table.hashes, strict=True)]]
    )
    folder = (cache or cache_folder()) / "audio" / f"{key}-{rate_hz}"
    if not (folder / "index.json").is_file():
        _build_store(table, rate_hz, folder, progress)
    try:
        return _read_store(folder, rate_hz)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HearlessError(
            f"the decoded sound in {folder} is damaged ({error}); delete that folder and run again."
        ) from error


def _read_store(folder: Path, rate_hz: int) -> AudioStore:
    index = json.loads((folder / "index.json").read_text())
    samples = np.memmap(folder / "samples.f32", np.float32, "r")
    if samples.size != index["n"]:
        raise ValueError(f"{samples.size} samples instead of {index['n']}")
    return AudioStore(
        rate_hz, cast("NDArray[np.float32]", samples), {k: (a, b) for k, (a, b) in index["starts"].items()}
    )


def _build_store(table: Table, rate_hz: int, folder: Path, progress: Progress | None) -> None:
    building = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        building.mkdir(parents=True)
        _decode_all(table, rate_hz, building, progress)
        try:
            building.rename(folder)
        except OSError:
            if not (folder / "index.json").is_file():
                raise
    except OSError as error:
        raise HearlessError(
            f"decoded sound could not be written below {folder.parent}: {error}; free some space or set HEARLESS_CACHE."
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _decode_all(table: Table, rate_hz: int, folder: Path, progress: Progress | None) -> None:
    starts: dict[str, tuple[int, int]] = {}
    wrong: list[str] = []
    n = 0
    with (folder / "samples.f32").open("wb") as out:
        for i, clip in enumerate(table.clips):
            try:
                waveform = _decoded(clip, rate_hz)
            except HearlessError as error:
                wrong.append(str(error))
                continue
            out.write(waveform.astype(np.float32).tobytes())
            starts[clip.id] = (n, n + len(waveform))
            n += len(waveform)
            if progress:
                progress(i + 1, len(table.clips))
        out.flush()
        os.fsync(out.fileno())
    _refuse(wrong)
    (folder / "index.json").write_text(json.dumps({"n": n, "starts": starts}))


def _decoded(clip: Clip, rate_hz: int) -> NDArray[np.float32]:
    waveform, _ = audio.read(clip.path, rate_hz, clip.start_s, clip.duration_s)
    if not len(waveform):
        raise HearlessError(f"{clip.path} is too short to hold a sample at {rate_hz} Hz.")
    return waveform


def class_weights(targets: NDArray[np.float32], balance: str) -> NDArray[np.float32]:
    """Return each clip's loss weight: 1, or with ``balance="weights"`` inverse to its classes' frequency (mean 1)."""
    if balance != "weights":
        return np.ones(len(targets), np.float32)
    per_class = len(targets) / np.maximum(targets.sum(0), 1) / targets.shape[1]
    weight = (targets * per_class).sum(1) / np.maximum(targets.sum(1), 1)
    return cast("NDArray[np.float32]", (weight / weight.mean()).astype(np.float32))


@dataclass(frozen=True)
class Loader:
    """Batches of some clips of a table.

    Attributes:
        table: where targets come from.
        store: decoded sound at the batch's rate.
        clips: the clips to serve.
        clip_s: length of every waveform in s; shorter clips are zero-padded, longer ones cropped or windowed.
        batch_size: clips a batch.
        balance: "none", "weights" (in the loss) or "sampling" (classes equally often).
        augmentations: applied in order (training only); those of features wait in each batch's ``changes``.
        peak_normalised: divide each clip by the largest absolute value of its whole sound.
        background: share of the clips in training in whose place stands background of no class.
    """

    table: Table
    store: AudioStore
    clips: tuple[Clip, ...]
    clip_s: float
    batch_size: int
    balance: str = "none"
    augmentations: tuple[Augmentation, ...] = ()
    peak_normalised: bool = False
    background: float = 0.0

    def order(self, seed: int, epoch: int) -> NDArray[np.int64]:
        """Return the order of an epoch, from (seed, epoch) alone."""
        rng = generator("order", seed, epoch)
        if self.balance != "sampling":
            return rng.permutation(len(self.clips))
        targets = self.table.targets(self.clips)
        chance = class_weights(targets, "weights").astype(np.float64)
        return rng.choice(len(self.clips), len(self.clips), p=chance / chance.sum())

    def epoch(self, seed: int, epoch: int, draw_key: tuple[int, int] | None = None) -> Iterator[Batch]:
        """Yield a training epoch, cropped and augmented with the draws of ``draw_key`` (default (seed, epoch))."""
        key = draw_key or (seed, epoch)
        order = self.order(seed, epoch)
        for step, start in enumerate(range(0, len(order), self.batch_size)):
            clips = tuple(self.clips[i] for i in order[start : start + self.batch_size])
            if len(clips) > 1 or len(order) == 1:  # a batch of one has no batch statistics
                yield self._train_batch(clips, key, (seed, epoch, step))

    def in_order(self, key: tuple[int, int] | None = None) -> Iterator[Batch]:
        """Yield every clip once, in table order: plain, or with the crops and draws of ``key``."""
        for start in range(0, len(self.clips), self.batch_size):
            clips = self.clips[start : start + self.batch_size]
            yield self._train_batch(clips, key, (*key, start)) if key else self._batch(clips, [0] * len(clips))

    def windows(self) -> Iterator[tuple[Batch, NDArray[np.int64], NDArray[np.float64]]]:
        """Yield plain batches covering every clip in windows of ``clip_s``, with each row's clip number and share.

        A window counts by how much sound it holds, so that a short rest weighs little.
        """
        rows = [(i, s) for i, clip in enumerate(self.clips) for s in self._window_starts(clip)]
        for start in range(0, len(rows), self.batch_size):
            part = rows[start : start + self.batch_size]
            batch = self._batch(tuple(self.clips[i] for i, _ in part), [s for _, s in part])
            lengths = [min(self.n_samples, len(self.store.waveform(self.clips[i])) - s) for i, s in part]
            yield batch, np.array([i for i, _ in part]), np.array(lengths) / self.n_samples

    @property
    def repeats(self) -> bool:
        """Whether each epoch serves every clip as it is: nothing is drawn but the order."""
        drawn = self.augmentations or self.background
        return not drawn and all(len(self.store.waveform(clip)) <= self.n_samples for clip in self.clips)

    @property
    def n_samples(self) -> int:
        """Samples of each waveform."""
        return round(self.clip_s * self.store.rate_hz)

    def _window_starts(self, clip: Clip) -> range:
        return range(0, len(self.store.waveform(clip)), self.n_samples)

    def _train_batch(self, clips: tuple[Clip, ...], key: tuple[int, int], step: tuple[int, int, int]) -> Batch:
        room = [max(0, len(self.store.waveform(clip)) - self.n_samples) for clip in clips]
        starts = [
            int(generator("crop", *key, c.id).integers(r + 1)) if r else 0 for c, r in zip(clips, room, strict=True)
        ]
        batch = self._batch(clips, starts)
        if self.background:
            self._put_backgrounds(batch, key)
        batch.taught = batch.waveform
        for i, augmentation in enumerate(self.augmentations):
            draws = draw(augmentation, i, clips, step if augmentation.level == "batch" else key, self.clip_s)
            if augmentation.place in ("features", "keep"):
                batch.changes += (Change(augmentation, draws),)
            else:
                _change_sound(batch, augmentation, draws)
        return batch

    def _put_backgrounds(self, batch: Batch, key: tuple[int, int]) -> None:
        """Put background in the place of some clips; their target is every class alike, or with several labels none."""
        nothing = 0.0 if self.table.multi_label else 1.0 / batch.target.shape[1]
        for row, clip in enumerate(batch.clips):
            rng = generator("background", *key, clip.id)
            if rng.random() < self.background:
                batch.waveform[row] = background(rng, self.n_samples, self.store.rate_hz)
                batch.target[row], batch.weight[row] = nothing, 1.0

    def _batch(self, clips: tuple[Clip, ...], starts: Sequence[int]) -> Batch:
        waveform = np.zeros((len(clips), self.n_samples), np.float32)
        for row, clip, start in zip(waveform, clips, starts, strict=True):
            heard = self.store.waveform(clip)[start : start + self.n_samples]
            row[: len(heard)] = heard if not self.peak_normalised else heard / self._peak(clip)
        target = torch.from_numpy(self.table.targets(clips))
        weight = torch.tensor([self.weights[clip.id] for clip in clips])
        return Batch(torch.from_numpy(waveform), self.store.rate_hz, target, clips, weight)

    def _peak(self, clip: Clip) -> np.float32:
        """Return the largest absolute value of a clip's whole sound, 1 for silence."""
        if clip.id not in self._peaks:
            self._peaks[clip.id] = np.float32(np.abs(self.store.waveform(clip)).max(initial=0.0) or 1.0)
        return self._peaks[clip.id]

    @cached_property
    def _peaks(self) -> dict[str, np.float32]:
        return {}

    @cached_property
    def weights(self) -> dict[str, float]:
        """Each clip's weight in the loss, by id."""
        weights = class_weights(self.table.targets(self.clips), self.balance)
        return dict(zip((clip.id for clip in self.clips), weights.tolist(), strict=True))


def _change_sound(batch: Batch, augmentation: Augmentation, draws: Sequence[Draw]) -> None:
    """Apply draws to a batch's sound, for one ear or both, and where it mixes clips to their targets and weights."""
    plain, shared = batch.waveform, batch.waveform is batch.taught
    batch.waveform = augmentation.apply(plain, draws, batch.rate_hz)
    if augmentation.hearers == "both" and batch.taught is not None:
        batch.taught = batch.waveform if shared else augmentation.apply(batch.taught, draws, batch.rate_hz)
    if augmentation.place == "clips":
        batch.target = augmentation.apply(batch.target, draws, batch.rate_hz)
        batch.weight = augmentation.apply(batch.weight[:, None], draws, batch.rate_hz)[:, 0]


def draw(
    augmentation: Augmentation, place: int, clips: Sequence[Clip], key: tuple[int, ...], duration_s: float
) -> list[Draw]:
    """Return the draws of one augmentation (the recipe's ``place``-th) for these clips.

    A clip-level draw comes from ``key`` and its clip alone; a batch's, one after another, from ``key``, which then is
    (seed, epoch, step).
    """
    if augmentation.level == "batch":
        rng = generator("draw", place, *key)
        return [augmentation.draw(rng, clip, duration_s) for clip in clips]
    return [augmentation.draw(generator("draw", place, *key, c.id), c, duration_s) for c in clips]
