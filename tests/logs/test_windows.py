from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from hearless.levels import Block
from hearless.logs.windows import filled, groups, pieces, windows


def blocks(*sizes: int, gaps: tuple[int, ...] = (), skip: int = 100) -> Iterator[Block]:
    """Yield blocks whose level is their row; before those in ``gaps`` the clock jumps by ``skip`` rows."""
    row, ahead = 0, 0
    for number, size in enumerate(sizes):
        ahead += skip if number in gaps else 0
        rows = np.arange(row, row + size)
        gap_s = ((row - 1 + ahead - skip) / 8, (row + ahead) / 8) if number in gaps else None
        yield Block(row, (rows + ahead) / 8, rows[:, None].astype(np.float32).repeat(2, 1), gap_s)
        row += size


def rows(found: np.ndarray) -> list[float]:
    return found[:, 0][~np.isnan(found[:, 0])].tolist()


@pytest.mark.parametrize("sizes", [(20,), (3, 3, 3, 11), (1,) * 20])
def test_windows_do_not_depend_on_blocks_and_hear_each_row_once(sizes: tuple[int, ...]) -> None:
    found = list(windows(pieces(blocks(*sizes), None, 0.125), 8, 8, 0.125, 0))
    assert [rows(w.levels_db) for w in found] == [[*range(8)], [*range(8, 16)], [*range(16, 20)]]
    assert [(w.start_s, w.end_s) for w in found] == [(0, 1), (1, 2), (2, 2.5)]
    assert [(w.next_row, w.heard) for w in found] == [(8, 0), (16, 0), (20, 0)]
    assert {w.levels_db.shape for w in found} == {(8, 2)}


def test_no_window_crosses_a_break() -> None:
    found = list(windows(pieces(blocks(10, 10, gaps=(1,)), None, 0.125), 8, 8, 0.125, 0))
    assert [rows(w.levels_db) for w in found] == [[*range(8)], [8, 9], [*range(10, 18)], [18, 19]]
    assert [w.gap_s for w in found] == [None, None, (9 / 8, 110 / 8), None]


def test_overlapping_windows_know_what_is_new() -> None:
    found = list(windows(pieces(blocks(14), None, 0.125), 8, 4, 0.125, 0))
    assert [rows(w.levels_db) for w in found] == [[*range(8)], [*range(4, 12)], [*range(8, 14)]]
    assert [(w.fresh, w.next_row, w.heard) for w in found] == [(0, 4, 4), (4, 8, 4), (4, 14, 0)]
    heard_all = list(windows(pieces(blocks(12), None, 0.125), 8, 4, 0.125, 0))
    assert [rows(w.levels_db) for w in heard_all] == [[*range(8)], [*range(4, 12)]]


def test_periods_part_windows_at_the_middle_of_a_row() -> None:
    jitter = [replace_times(block) for block in blocks(40)]
    found = list(windows(pieces(jitter, 2.0, 0.125), 8, 8, 0.125, 0))
    assert [rows(w.levels_db)[0] for w in found] == [0, 8, 16, 24, 32]
    assert list(windows(pieces(blocks(12), 1.25, 0.125), 8, 8, 0.125, 0))[1].end_s == 1.25


def replace_times(block: Block) -> Block:
    noise = np.random.default_rng(0).uniform(-0.05, 0.05, len(block.times_s))
    return Block(block.first_row, block.times_s + noise, block.levels_db, block.gap_s)


def test_groups_are_full_but_the_last() -> None:
    found = list(windows(pieces(blocks(1600), None, 0.125), 8, 8, 0.125, 0))
    assert [len(group) for group in groups(iter(found))] == [64, 64, 64, 8]


def test_what_is_missing_comes_from_neighbouring_bands_then_rows() -> None:
    rng = np.random.default_rng(0)
    whole = rng.uniform(20, 80, (3, 8, 29)).astype(np.float32)
    holed = whole.copy()
    holed[0, 2, 5:8] = np.nan  # bands within a row
    holed[1, 3:5] = np.nan  # rows
    holed[2, 6:] = np.nan  # the end
    found = filled(holed)
    bands = np.arange(29)
    there = np.isfinite(holed[0, 2])
    np.testing.assert_allclose(found[0, 2], np.interp(bands, bands[there], whole[0, 2][there]), rtol=1e-6)
    for band in range(29):
        kept = [0, 1, 2, 5, 6, 7]
        np.testing.assert_allclose(found[1, :, band], np.interp(range(8), kept, whole[1, kept, band]), rtol=1e-6)
    np.testing.assert_array_equal(found[2, 6:], whole[2, [5, 5]])
    np.testing.assert_array_equal(found[np.isfinite(holed)], whole[np.isfinite(holed)])
    assert filled(whole) is whole
