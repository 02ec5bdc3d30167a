"""Teachers at work: who explains each batch, running or from stored logits.

A running teacher hears whatever the student hears.  A stored one has listened once to ``n_draws`` draws of each clip's
augmentation; the training replays the same draws, so that the student's view is tensor-equal to the one explained.
Several teachers listen in one pass over the sound, and those of one view to the same features; each has a folder of its
own, so that whoever combines them otherwise needs no new pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hearless.fusion import Fusion
from hearless.interfaces import Batch, HearlessError, Prediction
from hearless.loading import Loader, Progress
from hearless.pipeline import Pipeline
from hearless.run import write_whole
from hearless.spec import digest

STORE_SEED = 0
"""Draws of stored logits come from (STORE_SEED, epoch mod n_draws, clip): all seeds and students share them."""

LOGITS, EMBEDDING = "logits", "embedding"
"""What can be stored of what a teacher says: each a file a draw."""

Heard = dict[str, tuple[Tensor, Tensor | None]]
"""What each view makes of one batch, kept so that teachers of one view share it."""


@dataclass(frozen=True)
class Running:
    """Pipelines that listen at each step; their logits are averaged, all else is the first one's.

    ``explains`` says, for cross-fitted teachers, which of them did not train on a clip (by id); a clip it does not name
    is explained by all.  ``views`` names each pipeline's view; those of one name hear a batch once.
    """

    pipelines: tuple[Pipeline, ...]
    explains: dict[str, int] | None = None
    torch_device: str = "cpu"
    views: tuple[str, ...] = ()

    @torch.no_grad()
    def __call__(
        self, batch: Batch, epoch: int = 0, *, maps: bool = False, heard: Heard | None = None
    ) -> Prediction:  # fmt: skip
        """Explain a batch; ``maps`` asks for inner activations too, ``heard`` is what others made of the batch."""
        kept = {} if heard is None else heard
        said = [p.judge(*self._hear(i, batch, kept), maps=maps) for i, p in enumerate(self.pipelines)]
        logits = torch.stack([one.logits for one in said])
        return replace(said[0], logits=self._combine(logits, batch))

    def _hear(self, place: int, batch: Batch, heard: Heard) -> tuple[Tensor, Tensor | None]:
        view = self.views[place] if self.views else f"{id(self)}-{place}"
        if view not in heard:
            heard[view] = self.pipelines[place].hear(batch, self.torch_device, teaching=True)
        return heard[view]

    def _combine(self, logits: Tensor, batch: Batch) -> Tensor:
        if self.explains is None:
            return logits.mean(0)
        who = torch.tensor([self.explains.get(clip.id, -1) for clip in batch.clips], device=logits.device)
        picked = logits[who.clamp(min=0), torch.arange(len(who), device=logits.device)]
        return torch.where((who >= 0)[:, None], picked, logits.mean(0))


@dataclass(frozen=True)
class Together:
    """Several teachers at work; their logits are averaged, or fused as fitted, all else is the first one's."""

    teachers: tuple[Running | Together, ...]
    fusion: Fusion | None = None

    @property
    def torch_device(self) -> str:
        """Where they listen."""
        return self.teachers[0].torch_device

    def __call__(
        self, batch: Batch, epoch: int = 0, *, maps: bool = False, heard: Heard | None = None
    ) -> Prediction:  # fmt: skip
        """Explain a batch; ``maps`` asks for inner activations too, ``heard`` is what others made of the batch."""
        kept = {} if heard is None else heard
        said = [teacher(batch, epoch, maps=maps, heard=kept) for teacher in self.teachers]
        each = torch.stack([one.logits for one in said])
        if self.fusion is None:
            return replace(said[0], logits=each.mean(0))
        alpha, beta = (torch.tensor(one).to(each) for one in (self.fusion.alpha, self.fusion.beta))
        return replace(said[0], logits=torch.tensordot(alpha, each, 1) + beta)


@dataclass(frozen=True)
class Stored:
    """Logits ``[draw, clip, class]`` made once and replayed; ``fusion`` says how they came of several teachers'.

    ``embedding`` is one teacher's ``[draw, clip, dimension]``, where it was wanted.
    """

    logits: NDArray[Any]
    rows: dict[str, int]
    torch_device: str = "cpu"
    fusion: Fusion | None = None
    embedding: NDArray[Any] | None = None

    @property
    def n_draws(self) -> int:
        """How many draws of each clip are stored."""
        return len(self.logits)

    def draw_key(self, epoch: int) -> tuple[int, int]:
        """Return the key of the draws that were explained for this epoch."""
        return STORE_SEED, epoch % self.n_draws

    def __call__(self, batch: Batch, epoch: int = 0, *, maps: bool = False) -> Prediction:
        """Return the stored explanation of a batch drawn with ``draw_key(epoch)``.

        Raises:
            HearlessError: inner activations are asked for, of which none is stored.
        """
        if maps:
            raise HearlessError("stored teacher logits come without inner maps; set stored_draws=0.")
        rows, draw = [self.rows[clip.id] for clip in batch.clips], epoch % self.n_draws
        logits, embedding = (
            torch.from_numpy(kept[draw][rows].astype(np.float32)).to(self.torch_device)
            for kept in (self.logits, self.logits if self.embedding is None else self.embedding)
        )
        return Prediction(logits, embedding)


Explain = Running | Together | Stored
AtWork = Running | Together

PLAIN = "plain"
"""What the logits of clips as they are, neither cropped at random nor augmented, are filed under."""


def store(
    teacher: AtWork, loader: Loader, n_draws: int, path: Path, progress: Progress | None = None,
    kinds: Sequence[str] = (LOGITS,),
) -> Stored:  # fmt: skip
    """Return what the teacher says of ``n_draws`` draws of every clip of ``loader``, computing what is missing."""
    store_each({path: teacher}, loader, n_draws, progress, kinds)
    return _stored(loader, n_draws, path, teacher.torch_device, kinds)


def store_each(
    teachers: Mapping[Path, AtWork], loader: Loader, n_draws: int, progress: Progress | None = None,
    kinds: Sequence[str] = (LOGITS,),
) -> None:  # fmt: skip
    """Write what several teachers say, by folder, of ``n_draws`` draws of every clip.

    All hear a draw in one pass.  One file a draw and kind, so that an interrupted pass goes on where it stopped; each
    carries the hash of its content.

    Raises:
        HearlessError: a file is damaged or made for other clips, or numbers are too large for half precision.
    """
    for n in range(n_draws):
        _store_one(teachers, loader, f"draw{n}", (STORE_SEED, n), kinds)
        if progress:
            progress(n + 1, n_draws)


def store_plain(teachers: Mapping[Path, AtWork], loader: Loader) -> None:
    """Write the logits of several teachers, by folder, for every clip as it is."""
    _store_one(teachers, loader, PLAIN, None)


def _store_one(
    teachers: Mapping[Path, AtWork], loader: Loader, name: str, key: tuple[int, int] | None,
    kinds: Sequence[str] = (LOGITS,),
) -> None:  # fmt: skip
    def is_there(path: Path) -> bool:
        return all(_read(_file(path, name, kind), len(loader.clips)) is not None for kind in kinds)

    missing = {path: teacher for path, teacher in teachers.items() if not is_there(path)}
    for path, said in zip(missing, _listen(list(missing.values()), loader, key, kinds), strict=True):
        for kind, values in said.items():
            if not np.isfinite(values).all():
                raise HearlessError(
                    f"teacher {kind} must fit half precision, got others for {_file(path, name, kind)}; train it again."
                )
            _write(_file(path, name, kind), values)


def _file(path: Path, name: str, kind: str) -> Path:
    """Return where one kind of what a teacher says of a draw lies."""
    return path / (f"{name}.npy" if kind == LOGITS else f"{name}.{kind}.npy")


def _listen(
    teachers: Sequence[AtWork], loader: Loader, key: tuple[int, int] | None, kinds: Sequence[str]
) -> list[dict[str, NDArray[np.float16]]]:
    """Let all teachers hear every clip once; return what each one says by kind, ``[clip, class or dimension]``."""
    said: list[dict[str, list[NDArray[np.float16]]]] = [{kind: [] for kind in kinds} for _ in teachers]
    for batch in loader.in_order(key) if teachers else ():
        heard: Heard = {}
        for kept, teacher in zip(said, teachers, strict=True):
            prediction = teacher(batch, heard=heard)
            for kind, rows in kept.items():
                rows.append(getattr(prediction, kind).half().cpu().numpy())
    return [{kind: np.concatenate(rows) for kind, rows in kept.items()} for kept in said]


def is_whole(path: Path, loader: Loader, n_draws: int, kinds: Sequence[str] = (LOGITS,)) -> bool:
    """Say whether an earlier `store_each` left all draws of a teacher.

    Raises:
        HearlessError: one of them is damaged, or made for other clips.
    """
    files = [_file(path, f"draw{n}", kind) for n in range(n_draws) for kind in kinds]
    return n_draws > 0 and all(_read(file, len(loader.clips)) is not None for file in files)


def stored(
    loader: Loader, n_draws: int, path: Path, torch_device: str = "cpu", kinds: Sequence[str] = (LOGITS,)
) -> Stored | None:  # fmt: skip
    """Return what an earlier `store` left whole, or None: no teacher need listen otherwise.

    Raises:
        HearlessError: one of them is damaged, or made for other clips.
    """
    whole = is_whole(path, loader, n_draws, kinds)
    return _stored(loader, n_draws, path, torch_device, kinds) if whole else None


def _stored(loader: Loader, n_draws: int, path: Path, torch_device: str, kinds: Sequence[str]) -> Stored:
    logits, embedding = (
        np.stack([_required(_file(path, f"draw{n}", kind), loader) for n in range(n_draws)]) if kind in kinds else None
        for kind in (LOGITS, EMBEDDING)
    )
    if logits is None:
        raise HearlessError(f"logits must be among what is stored of a teacher, got {', '.join(kinds)}.")
    return Stored(logits, _rows(loader), torch_device, embedding=embedding)


def stored_together(
    loader: Loader, n_draws: int, paths: Sequence[Path], fusion: Fusion | None, torch_device: str = "cpu"
) -> Stored:  # fmt: skip
    """Return the stored logits of several teachers as one: their mean, or fused as fitted."""
    draws = []
    for n in range(n_draws):
        each = [_required(path / f"draw{n}.npy", loader) for path in paths]
        draws.append(np.mean(each, axis=0, dtype=np.float32) if fusion is None else fusion(each))
    return Stored(np.stack(draws), _rows(loader), torch_device, fusion)


def plain(loader: Loader, paths: Sequence[Path]) -> NDArray[np.float16] | None:
    """Return what `store_plain` left of several teachers, ``[teacher, clip, class]``, or None where one is missing."""
    each = [_read(path / f"{PLAIN}.npy", len(loader.clips)) for path in paths]
    found = [one for one in each if one is not None]
    return np.stack(found) if found and len(found) == len(paths) else None


def _rows(loader: Loader) -> dict[str, int]:
    return {clip.id: i for i, clip in enumerate(loader.clips)}


def _required(file: Path, loader: Loader) -> NDArray[np.float16]:
    if (found := _read(file, len(loader.clips))) is None:
        raise HearlessError(f"stored teacher logits {file} are missing; run again, the teacher then listens once more.")
    return found


def _content(logits: NDArray[np.float16]) -> str:
    return digest([list(logits.shape), logits.tobytes().hex()], 64)


def _write(file: Path, logits: NDArray[np.float16]) -> None:
    header = f"{_content(logits)} {logits.shape[0]} {logits.shape[1]}\n".encode()
    write_whole(file, header + logits.tobytes())


def _read(file: Path, n_clips: int) -> NDArray[np.float16] | None:
    """Read one draw; None if it is missing.

    Raises:
        HearlessError: it is damaged, or made for another number of clips.
    """
    if not file.is_file():
        return None
    header, _, body = file.read_bytes().partition(b"\n")
    try:
        checksum, n, classes = header.decode().split()
        logits = np.frombuffer(body, np.float16).reshape(int(n), int(classes))
        whole = _content(logits) == checksum
    except ValueError:
        whole = False
    if not whole:
        raise HearlessError(f"stored teacher logits {file} are damaged; delete that file and run again.")
    if len(logits) != n_clips:
        raise HearlessError(
            f"stored teacher logits {file} are of {len(logits)} clips instead of {n_clips}; "
            "delete that file and run again."
        )
    return logits


def draw_key_of(explain: Callable[[Batch, int], Prediction] | None) -> Callable[[int], tuple[int, int]] | None:
    """Return the draw key of a stored teacher, or None where draws come from (seed, epoch)."""
    return explain.draw_key if isinstance(explain, Stored) else None


def mean_of(pipelines: Sequence[Pipeline], torch_device: str = "cpu") -> Running:
    """Return the running teacher that averages these pipelines' logits."""
    return Running(tuple(p.eval() for p in pipelines), None, torch_device)
