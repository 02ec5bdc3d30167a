"""What every classifier checks the same way: the size of its features and the weights it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hearless.interfaces import HearlessError


def check_at_least(name: str, value: float, least: float, remedy: str) -> None:
    """Refuse a constructor argument below ``least``."""
    if not value >= least:
        raise HearlessError(f"{name} must be at least {least}, got {value}; {remedy}.")


def check_features(name: str, features: Tensor, min_bands: int, min_frames: int) -> None:
    """Refuse features ``[batch, 1, band, frame]`` that the network ``name`` would shrink to nothing.

    Raises:
        HearlessError: another number of axes or channels, or fewer bands or frames than the minimum.
    """
    if features.ndim != 4 or features.shape[1] != 1:
        raise HearlessError(
            f"{name}: features must be [batch, 1, band, frame], got {list(features.shape)}; "
            "give the output of a frontend."
        )
    bands, frames = features.shape[2], features.shape[3]
    if bands < min_bands:
        raise HearlessError(
            f"{name}: features need at least {min_bands} bands, got {bands}; keep more bands or use another classifier."
        )
    if frames < min_frames:
        raise HearlessError(
            f"{name}: features need at least {min_frames} frames, got {frames}; "
            "give a longer clip (or a shorter hop) or use another classifier."
        )


def shapes_of(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a state dict."""
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def differences(have: Mapping[str, tuple[int, ...]], need: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Say in words how the shapes of a state dict differ from those a network needs; empty when they fit."""
    said = []
    missing, unknown = [key for key in need if key not in have], [key for key in have if key not in need]
    if missing:
        said.append(f"missing {_some(missing)}")
    if unknown:
        said.append(f"unknown {_some(unknown)}")
    other = [key for key in need if key in have and have[key] != need[key]]
    if other:
        said.append("other shapes: " + _some([f"{k} {_by(have[k])} instead of {_by(need[k])}" for k in other]))
    return said


def load_strictly(
    name: str, network: nn.Module, state: Mapping[str, Tensor], *, output: str, replace_output: bool
) -> None:
    """Load a state dict, every key and shape of which must fit.

    Args:
        name: the network's name in errors.
        network: where the weights go.
        state: official keys, front-end tensors already dropped.
        output: key prefix of the last layer, such as ``"fc_audioset."``.
        replace_output: leave the network's own last layer and take all the others.

    Raises:
        HearlessError: keys or shapes differ; all kinds of difference are listed.
    """
    wrong = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if wrong:
        raise HearlessError(
            f"{name}: weights must be a flat state dict of tensors, got {_some(wrong)}; "
            "read the file with hearless.classifiers._official.read_state."
        )
    own = network.state_dict()
    given = dict(state)
    if replace_output:
        given = {key: tensor for key, tensor in given.items() if not key.startswith(output)}
        given |= {key: tensor for key, tensor in own.items() if key.startswith(output)}
    said = differences(shapes_of(given), shapes_of(own))
    if said:
        raise HearlessError(
            f"{name} cannot take these weights: {'; '.join(said)}. They are of another architecture, width or class "
            "count: build the network with their arguments, or pass replace_output=True where only the last layer "
            "differs."
        )
    network.load_state_dict(given)


def fits(cls: type[nn.Module], arguments: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Say whether ``cls(**arguments)`` has exactly these keys and shapes; allocates no memory."""
    try:
        with torch.device("meta"):
            network = cls(**arguments)
    except HearlessError:
        return False
    return not differences(shapes, shapes_of(network.state_dict()))


def _some(items: Sequence[str], most: int = 5) -> str:
    rest = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + rest


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "scalar"
