"""The run folder: one training of a recipe on one fold with one seed.

``runs/<recipe>-<hash>/fold1-seed0/`` holds recipe.json, measured.json, environment.json, metrics.jsonl, checkpoints/
and predictions/.  Everything is JSON, safetensors or plain arrays; nothing in it can execute.  Files are written whole
or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with building.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        building.replace(path)
    except OSError as error:
        building.unlink(missing_ok=True)
        raise HearlessError(
            f"{path} could not be written: {error}; free some space and run again, it resumes."
        ) from error


def write_json(path: Path, data: Any) -> None:
    """Write JSON, whole or not at all."""
    write_whole(path, (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode())


@dataclass(frozen=True)
class Predictions:
    """What a pipeline said of clips.

    Attributes:
        ids: clip ids ``[n]``.
        true: classes ``[n, class]``, 0 or 1.
        logits: ``[n, class]``.
        groups: source recordings ``[n]``.
    """

    ids: NDArray[np.str_]
    true: NDArray[np.float32]
    logits: NDArray[np.float32]
    groups: NDArray[np.str_]

    def save(self, path: Path) -> None:
        """Write one .npz, whole or not at all."""
        building = path.with_name(f".{path.stem}.{os.getpid()}.npz")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            np.savez_compressed(
                building, ids=self.ids, true=self.true.astype(np.uint8), logits=self.logits, groups=self.groups
            )
            building.replace(path)
        except OSError as error:
            building.unlink(missing_ok=True)
            raise HearlessError(f"{path} could not be written: {error}; free some space and run again.") from error

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read what `save` wrote."""
        try:
            with np.load(path, allow_pickle=False) as data:
                return cls(data["ids"], data["true"].astype(np.float32), data["logits"], data["groups"])
        except (OSError, ValueError, KeyError) as error:
            raise HearlessError(f"{path} holds no predictions ({error}); evaluate the run again.") from error


@dataclass(frozen=True)
class Run:
    """A run folder."""

    path: Path

    @property
    def done(self) -> bool:
        """True once the training is over."""
        return (self.path / "done.json").is_file()

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
            return dict(json.loads((self.path / name).read_text()))
        except (OSError, ValueError) as error:
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
        for line in path.read_text().splitlines() if path.is_file() else []:
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

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run: a second process waits until the first is done with it."""
        self.path.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path / ".lock"):
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
    try:
        with safe_open(path, "pt") as file:
            state = json.loads((file.metadata() or {}).get("state", "{}"))
            return {key: file.get_tensor(key) for key in file.keys()}, state  # noqa: SIM118 (no mapping)
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
    """Undo `flatten_optimizer`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
