"""Levels as a street has them, and the rows of a log joined again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from hearless.levels import Block, LevelLog

THIRDS = (
    20, 25, 31.5, 40, 50, 63, 80, 100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1000, 1250, 1600, 2000, 2500, 3150,
    4000, 5000, 6300, 8000, 10000, 12500,
)  # fmt: skip
OCTAVES = (31.5, 63, 125, 250, 500, 1000, 2000, 4000, 8000, 16000)


class Joined(NamedTuple):
    """All blocks of a log as one."""

    times_s: NDArray[np.float64]
    levels_db: NDArray[np.float32]
    notes: set[tuple[str, int]]
    gaps: list[tuple[float, float]]
    blocks: list[Block]


def street(n_rows: int, bands: int = 29, seed: int = 0) -> NDArray[np.float32]:
    """Return levels ``[row, band]`` between 20 and 80 dB, to 0.1 dB as meters write them."""
    return np.random.default_rng(seed).uniform(20, 80, (n_rows, bands)).round(1).astype(np.float32)


def join(log: LevelLog, n_rows: int = 100, start_row: int = 0) -> Joined:
    """Read a log through; notes as (rule, row), one for each row."""
    blocks = list(log.blocks(n_rows, start_row))
    notes = {(note.rule, row) for b in blocks for note in b.notes for row in range(note.first_row, note.last_row + 1)}
    return Joined(
        np.concatenate([block.times_s for block in blocks]),
        np.concatenate([block.levels_db for block in blocks]),
        notes,
        [block.gap_s for block in blocks if block.gap_s is not None],
        blocks,
    )


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a CSV file from its times, levels and column names."""

    def write(
        times: Sequence[object] | NDArray[np.float64],
        levels_db: NDArray[np.float32] | Sequence[Sequence[object]],
        names: Sequence[object] = THIRDS,
        mark: str = ",",
        clock: str = "time",
    ) -> Path:
        rows = [[time, *row] for time, row in zip(times, levels_db, strict=True)]
        path = tmp_path / "log.csv"
        path.write_text("".join(mark.join(map(str, row)) + "\n" for row in [[clock, *names], *rows]), encoding="utf-8")
        return path

    return write
