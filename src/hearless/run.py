"""The run folder: one training of a recipe on one fold with one seed.

``runs/<recipe>-<hash>/fold1-seed0/`` holds recipe.json, measured.json, environment.json, metrics.jsonl, checkpoints/
and predictions/.  Everything is JSON, safetensors or plain arrays; nothing in it can execute.  Files are written whole
or not at all.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hearless.interfaces import HearlessError
from hearless.recipe import Recipe, recipe_from_json


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a crash or a full disk leaves either the old one or the new one.

    Raises:
        HearlessError: the disk is full or cannot be written; the old file is untouched.
    """
    building = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with building.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        building.replace(path)
    except OSError as error:
        raise HearlessError(
            f"{path} could not be written: {error}; free some space and run again, it resumes."
        ) from error
    finally:
        with suppress(OSError):
            building.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Write JSON, whole or not at all."""
    write_whole(path, (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode())


OPTIONAL = ("reference", "distance", "devices", "seen")
"""Arrays of predictions that only some have."""


@dataclass(frozen=True)
class Predictions:
    """What a pipeline said of clips.

    Attributes:
        ids: clip ids ``[n]``.
        true: classes ``[n, class]``, 0 or 1.
        logits: ``[n, class]``, or ``[epoch, n, class]`` where several epochs are judged.
        groups: source recordings ``[n]``.
        reference: a teacher's logits ``[n, class]``, where agreement with it is judged; its first class then is the
            true one.
        distance: mean squared difference ``[n]`` of the features that the two classifiers saw.
        devices: recording devices ``[n]``, "" where unknown, where the data set tells them.
        seen: True ``[n]`` where some training clip is of the same device.
    """

    ids: NDArray[np.str_]
    true: NDArray[np.float32]
    logits: NDArray[np.float32]
    groups: NDArray[np.str_]
    reference: NDArray[np.float32] | None = None
    distance: NDArray[np.float32] | None = None
    devices: NDArray[np.str_] | None = None
    seen: NDArray[np.bool_] | None = None

    def save(self, path: Path) -> None:
        """Write one .npz, whole or not at all."""
        content = io.BytesIO()
        more = {name: kept for name in OPTIONAL if (kept := getattr(self, name)) is not None}
        np.savez_compressed(
            content, ids=self.ids, true=self.true.astype(np.uint8), logits=self.logits, groups=self.groups, **more
        )
        write_whole(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read what `save` wrote.

        Raises:
            HearlessError: missing, damaged, no predictions, or objects that would run code (they are not run).
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
                more = {name: data[name] for name in OPTIONAL if name in data}
                found = cls(data["ids"], data["true"].astype(np.float32), data["logits"], data["groups"], **more)
        except Exception as error:  # a damaged archive may raise anything
            raise HearlessError(f"{path} holds no predictions ({error}); evaluate the run again.") from error
        n = len(found.ids)
        if found.true.shape != found.logits.shape[-2:] or not n == len(found.true) == len(found.groups):
            raise HearlessError(f"{path} holds predictions that do not pair with {n} clips; evaluate the run again.")
        return found


@dataclass(frozen=True)
class Run:
    """A run folder."""

    path: Path

    @property
    def done(self) -> bool:
        """True once the training is over."""
        return (self.path / "done.json").is_file()

    def begin_again(self) -> None:
        """Forget that the training was over, and what its weights have said of clips: other ones come."""
        (self.path / "done.json").unlink()
        for said in self.predictions("test").parent.glob("*.npz"):
            said.unlink()

    @property
    def recipe(self) -> Recipe:
        """The recipe it trains."""
        return recipe_from_json(self.read("recipe.json"))

    @property
    def measured(self) -> dict[str, Any]:
        """What was measured from its training clips, such as labels, clip_s and rate."""
        return self.read("measured.json")

    def read(self, name: str) -> dict[str, Any]:
        """Return one of its JSON files.

        Raises:
            HearlessError: this is no run folder, or the file is damaged.
        """
        try:
            return dict(json.loads((self.path / name).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise HearlessError(
                f"{self.path} is no run folder with a readable {name} ({error}); name one made by train."
            ) from error

    def write(self, name: str, data: Any) -> None:
        """Write one of its JSON files."""
        write_json(self.path / name, data)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the epochs' metrics; a line torn by a crash is left out."""
        rows = []
        path = self.path / "metrics.jsonl"
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
        return rows

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Write all epochs' metrics."""
        write_whole(self.path / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())

    def predictions(self, name: str) -> Path:
        """Return where the predictions called ``name`` lie."""
        return self.path / "predictions" / f"{name}.npz"

    def checkpoint(self, name: str) -> Path:
        """Return where the checkpoint called ``name`` lies."""
        return self.path / "checkpoints" / f"{name}.safetensors"

    @property
    def epochs_over(self) -> int:
        """How many epochs its last checkpoint has behind it; 0 without one.

        Raises:
            HearlessError: the checkpoint is damaged.
        """
        path = self.checkpoint("last")
        return int(_state(path)["epoch"]) if path.is_file() else 0

    def locked(self) -> AbstractContextManager[None]:
        """Hold the run: a second process waits until the first is done with it."""
        return alone(self.path)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder: a second process waits until the first is done with it."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        yield


def save_tensors(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors as safetensors with ``state`` (JSON) in the header and beside it, whole or not at all."""
    kept = {key: value.detach().contiguous().cpu().clone() for key, value in tensors.items()}
    write_whole(path, save(kept, {"state": json.dumps(state)}))
    write_json(path.with_suffix(".json"), state)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote.

    Raises:
        HearlessError: missing, truncated, or not safetensors.
    """
    with _opened(path) as file:
        return {key: file.get_tensor(key) for key in file.keys()}, _state_in(file)  # noqa: SIM118 (no mapping)


def _state(path: Path) -> dict[str, Any]:
    """Read the state alone of what `save_tensors` wrote."""
    with _opened(path) as file:
        return _state_in(file)


def _state_in(file: Any) -> dict[str, Any]:
    return dict(json.loads((file.metadata() or {}).get("state", "{}")))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open what `save_tensors` wrote."""
    try:
        with safe_open(path, "pt") as file:
            yield file
    except FileNotFoundError as error:
        raise HearlessError(
            f"{path} is missing: this run was kept without its weights; copy them there, or run its training again."
        ) from error
    except (OSError, SafetensorError, ValueError) as error:
        raise HearlessError(f"{path} is no readable checkpoint ({error}); delete it and run again.") from error


def flatten_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimiser's state as flat tensors, ``optimizer.<parameter number>.<name>``."""
    return {
        f"optimizer.{index}.{name}": torch.as_tensor(value)
        for index, entry in optimizer.state_dict()["state"].items()
        for name, value in entry.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Undo `flatten_optimizer`.

    Each moment gets its parameter's memory layout back: a fused optimiser pairs their elements by place in memory.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            state.setdefault(int(index), {})[name] = _laid_out_as(parameters[int(index)], value)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    if value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, device=value.device, requires_grad=False).copy_(value)
