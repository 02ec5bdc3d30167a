"""What the tests of the classifiers share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn


@pytest.fixture
def stirred() -> Callable[[nn.Module], dict[str, Tensor]]:
    """Return a function that gives every batch norm statistics and weights unlike its first ones."""

    def stir(network: nn.Module) -> dict[str, Tensor]:
        rng = torch.Generator().manual_seed(7)
        ranges = {"weight": (0.7, 1.3), "bias": (-0.2, 0.2), "running_mean": (-0.2, 0.2), "running_var": (0.5, 1.5)}
        for key, tensor in network.state_dict().items():
            if tensor.ndim == 1:  # batch norms, and biases of linear layers
                tensor.uniform_(*ranges[key.rpartition(".")[2]], generator=rng)
        network.eval()
        return network.state_dict()

    return stir


@pytest.fixture
def features() -> Callable[[int, int], Tensor]:
    """Return a function that makes two clips of features of any size."""
    return lambda bands, frames: torch.randn(2, 1, bands, frames, generator=torch.Generator().manual_seed(3))
