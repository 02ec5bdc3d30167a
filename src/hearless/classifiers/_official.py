"""Published weights: reading their files without running them, and knowing which classifier they fit."""

from __future__ import annotations

import importlib
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hearless.classifiers._checks import shapes_of
from hearless.closest import closest
from hearless.interfaces import HearlessError, Weights
from hearless.spec import class_names, resolve

_RECONSTRUCT = np.zeros(0).__reduce__()[0]
_SCALAR = np.float64(0).__reduce__()[0]
NUMPY_GLOBALS: list[Any] = [
    *((_RECONSTRUCT, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    np.ndarray,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("?", "u1", "i4", "i8", "f4", "f8")),
]
"""Plain arrays of numbers, which the samplers beside PANNs' weights hold; nothing that runs."""

WRAPPERS = ("model", "state_dict")


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the state dict of a weights file onto the CPU: ``.safetensors``, or a ``torch.save`` file of tensors only.

    A ``{"model": …}`` or ``{"state_dict": …}`` around it is taken off, and so is ``module.`` before every key.

    Raises:
        HearlessError: no such file, damaged, no weights file, or a pickle that would run code (it is not run).
    """
    if not path.is_file():
        raise HearlessError(f"weights must be a file, got {path}; check the path or run `hearless fetch`.")
    return flat(_read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path), path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise _damaged(path, error) from error


def _read_pickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(NUMPY_GLOBALS):
            warnings.filterwarnings("ignore", "Detected pickle protocol")  # what matters of it is an error below
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything
        with path.open("rb") as file:
            opened = file.read(1) in (b"P", b"\x80")  # a zip of torch.save, a bare pickle
        if isinstance(error, pickle.UnpicklingError) and opened:
            raise HearlessError(
                f"{path.name} must hold tensors only, but opening it could run code; it was refused and nothing of it "
                "was run. Ask its author for a .safetensors file or a plain state dict."
            ) from error
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> HearlessError:
    return HearlessError(
        f"{path.name} must be a whole .safetensors, .pth or .pt weights file, got one that cannot be read "
        f"({type(error).__name__}); download it again and compare its checksum."
    )


def flat(content: Any, path: Path) -> dict[str, Tensor]:
    """Return the tensors by name of what a weights file holds, wrappers taken off."""
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise HearlessError(
            f"{path.name} must hold a state dict (tensors by name), got {type(content).__name__}; "
            "save model.state_dict() instead."
        )
    state = {str(key): tensor for key, tensor in content.items()}
    prefixed = all(key.startswith("module.") for key in state)
    return {key.removeprefix("module."): tensor for key, tensor in state.items()} if prefixed else state


def weights_of(class_name: str) -> dict[str, Weights]:
    """Return the weights table at the end of a classifier's file."""
    module = importlib.import_module(resolve("classifiers", class_name).__module__)
    table: dict[str, Weights] = vars(module).get("WEIGHTS", {})
    return table


def weights_table() -> dict[str, tuple[str, Weights]]:
    """Return class name and row of every published weights file, by short name."""
    return {short: (name, row) for name in class_names("classifiers") for short, row in weights_of(name).items()}


def listeners() -> dict[str, tuple[str, Weights]]:
    """Return class name and row of every published listener, by short name; starts are left out."""
    return {short: found for short, found in weights_table().items() if found[1].frontend}


def backbone(name: str) -> tuple[str, Weights]:
    """Return class name and row of the weights file with this short name, such as ``"mn04"``; starts are left out.

    Raises:
        HearlessError: there is none; those known are listed.
    """
    table = listeners()
    if name not in table:
        near = closest(name, table)
        guess = f"; did you mean {near}?" if near else "."
        raise HearlessError(f"backbone must be one of {', '.join(sorted(table))}, got {name!r}{guess}")
    return table[name]


def recognise(state: Mapping[str, Tensor]) -> list[tuple[str, dict[str, Any], list[str]]]:
    """Say which classifiers a state dict fits.

    Returns:
        Class name, constructor arguments and short names of the published files of that shape, for each classifier
        that fits; no item where none does.
    """
    shapes = shapes_of(state)
    found = []
    for name in class_names("classifiers"):
        arguments = resolve("classifiers", name).recognise(shapes)
        if arguments is not None:
            rows = weights_of(name).items()
            found.append((name, arguments, [short for short, row in rows if _alike(row, arguments, shapes)]))
    return found


def _alike(row: Weights, arguments: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Say whether a published listener has these arguments and, where the state tells (PANNs), this sampling rate."""
    if row.frontend is None:
        return False
    window = shapes.get("spectrogram_extractor.stft.conv_real.weight")
    same_rate = window is None or row.frontend.arguments.get("reference_rate_hz") == round(window[-1] / 0.032)
    return same_rate and all(arguments.get(key) == value for key, value in row.arguments.items())
