"""A log written in a moment, and a listener that hears which third of the bands is loudest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from hearless.levels import LevelLog, open_levels, write_levels
from hearless.logs import LevelListener

THIRDS = (
    20, 25, 31.5, 40, 50, 63, 80, 100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1000, 1250, 1600, 2000, 2500, 3150,
    4000, 5000, 6300, 8000, 10000, 12500,
)  # fmt: skip
LABELS = ("low", "mid, middle", "high")
START = datetime(2024, 6, 1, 12, 0, 3)


def classify(levels_db: NDArray[np.float32]) -> NDArray[Any]:
    """Score the low, middle and high bands by how far they rise above 50 dB on average."""
    assert levels_db.dtype == np.float32
    assert levels_db.shape[1:] == (29, 8)
    parts = levels_db[:, :10], levels_db[:, 10:20], levels_db[:, 20:]
    return expit((np.stack([part.mean((1, 2)) for part in parts], 1) - 50.0) / 4.0)


@pytest.fixture
def listener() -> LevelListener:
    return LevelListener(classify, LABELS, 0.125, 1.0, name="thirds", trained_by="hearless train --set {interval}")


@pytest.fixture
def street() -> Callable[..., NDArray[np.float32]]:
    """Return a maker of levels ``[row, band]`` that change slowly, to 0.1 dB."""

    def make(n_rows: int, seed: int = 0) -> NDArray[np.float32]:
        rng = np.random.default_rng(seed)
        slow = rng.uniform(35, 65, (n_rows // 40 + 1, 3)).repeat(40, 0)[:n_rows]
        return (slow.repeat([10, 10, 9], 1) + rng.normal(0, 2, (n_rows, 29))).round(1).astype(np.float32)

    return make


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., LevelLog]:
    """Return a function that writes levels as CSV, some rows left out, and opens them."""

    def make(
        levels_db: NDArray[np.float32], start: datetime | None = START, drop: slice | None = None, name: str = "log.csv"
    ) -> LevelLog:
        path = tmp_path / name
        write_levels(path, levels_db, THIRDS, 0.125, start=start)
        if drop is not None:
            head, *rows = path.read_text().splitlines(keepends=True)
            del rows[drop]
            path.write_text("".join([head, *rows]))
        return open_levels(path)

    return make
