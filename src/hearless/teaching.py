"""Teachers at work: who explains each batch, running or from stored logits.

A running teacher hears whatever the student hears.  A stored one has listened once to ``n_draws`` draws of each clip's
augmentation; the training replays the same draws, so that the student's view is tensor-equal to the one explained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hearless.interfaces import Batch, HearlessError, Prediction
from hearless.loading import Loader, Progress
from hearless.pipeline import Pipeline
from hearless.run import write_whole
from hearless.spec import digest

STORE_SEED = 0
"""Draws of stored logits come from (STORE_SEED, epoch mod n_draws, clip): all seeds and students share them."""


@dataclass(frozen=True)
class Running:
    """Pipelines that listen at each step; their logits are averaged, all else is the first one's.

    ``explains`` says, for cross-fitted teachers, which of them did not train on a clip (by id); a clip it does not name
    is explained by all.
    """

    pipelines: tuple[Pipeline, ...]
    explains: dict[str, int] | None = None
    torch_device: str = "cpu"

    @torch.no_grad()
    def __call__(self, batch: Batch, epoch: int = 0, *, maps: bool = False) -> Prediction:
        """Explain a batch; ``maps`` asks for inner activations too."""
        said = [p.judge(*p.hear(batch, self.torch_device, teaching=True), maps=maps) for p in self.pipelines]
        logits = torch.stack([one.logits for one in said])
        return replace(said[0], logits=self._combine(logits, batch))

    def _combine(self, logits: Tensor, batch: Batch) -> Tensor:
        if self.explains is None:
            return logits.mean(0)
        who = torch.tensor([self.explains.get(clip.id, -1) for clip in batch.clips], device=logits.device)
        picked = logits[who.clamp(min=0), torch.arange(len(who), device=logits.device)]
        return torch.where((who >= 0)[:, None], picked, logits.mean(0))


@dataclass(frozen=True)
class Mean:
    """Several teachers at work; their logits are averaged, all else is the first one's."""

    teachers: tuple[Running | Mean, ...]

    @property
    def torch_device(self) -> str:
        """Where they listen."""
        return self.teachers[0].torch_device

    def __call__(self, batch: Batch, epoch: int = 0, *, maps: bool = False) -> Prediction:
        """Explain a batch; ``maps`` asks for inner activations too."""
        said = [teacher(batch, epoch, maps=maps) for teacher in self.teachers]
        return replace(said[0], logits=torch.stack([one.logits for one in said]).mean(0))


@dataclass(frozen=True)
class Stored:
    """Logits ``[draw, clip, class]`` made once and replayed."""

    logits: NDArray[np.float16]
    rows: dict[str, int]
    torch_device: str = "cpu"

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
        rows = [self.rows[clip.id] for clip in batch.clips]
        logits = torch.from_numpy(self.logits[epoch % self.n_draws][rows].astype(np.float32)).to(self.torch_device)
        return Prediction(logits, logits)


Explain = Running | Mean | Stored


def store(
    teacher: Running | Mean, loader: Loader, n_draws: int, path: Path, progress: Progress | None = None
) -> Stored:
    """Return the teacher's logits for ``n_draws`` draws of every clip of ``loader``, computing what is missing.

    One file a draw, so that an interrupted pass goes on where it stopped; each carries the hash of its content.
    """
    draws = []
    for n in range(n_draws):
        file = path / f"draw{n}.npy"
        if (found := _read(file, len(loader.clips))) is None:
            found = np.concatenate([teacher(b).logits.half().cpu().numpy() for b in loader.in_order((STORE_SEED, n))])
            _write(file, found)
        draws.append(found)
        if progress:
            progress(n + 1, n_draws)
    return Stored(np.stack(draws), {clip.id: i for i, clip in enumerate(loader.clips)}, teacher.torch_device)


def stored(loader: Loader, n_draws: int, path: Path, torch_device: str = "cpu") -> Stored | None:
    """Return the logits that an earlier `store` left whole, or None: no teacher need listen then.

    Raises:
        HearlessError: one of them is damaged, or made for other clips.
    """
    draws = [_read(path / f"draw{n}.npy", len(loader.clips)) for n in range(n_draws)]
    whole = [draw for draw in draws if draw is not None]
    if not whole or len(whole) < n_draws:
        return None
    return Stored(np.stack(whole), {clip.id: i for i, clip in enumerate(loader.clips)}, torch_device)


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
