from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hearless.interfaces import HearlessError
from hearless.levels import open_levels

from .conftest import OCTAVES, THIRDS, join, street


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int16])
def test_an_array_reads_with_its_bands_given(tmp_path: Path, kind: type) -> None:
    levels = street(50, 10).astype(kind)
    np.save(tmp_path / "log.npy", np.asfortranarray(levels))
    log = open_levels(tmp_path / "log.npy", columns_hz=OCTAVES, interval_s=1.0)
    assert (log.table.kind, log.table.n_rows, log.table.start) == ("1/1", 50, None)
    np.testing.assert_array_equal(join(log, 7).levels_db, levels.astype(np.float32))


def test_facts_beside_it_say_what_the_columns_are(tmp_path: Path) -> None:
    levels = street(50)
    np.save(tmp_path / "log.npy", levels)
    facts = {"bands_hz": THIRDS[::-1], "interval_s": 0.125, "start": "2024-06-01T12:00:00+00:00"}
    (tmp_path / "log.npy.json").write_text(json.dumps(facts))
    log = open_levels(tmp_path / "log.npy")
    read = join(log)
    np.testing.assert_array_equal(read.levels_db, levels[:, ::-1])
    np.testing.assert_allclose(read.times_s, 1717243200 + 0.125 * np.arange(50))
    with pytest.raises(HearlessError, match=r"interval_s is said to be 1 s, the table's own is 0.125 s"):
        open_levels(tmp_path / "log.npy", interval_s=1.0)


@pytest.mark.parametrize(
    ("array", "facts", "given", "says"),
    [
        (street(9), None, {}, "names no bands; say in columns_hz what its 29 columns are"),
        (street(9), None, {"columns_hz": OCTAVES}, "10 bands are named, it has 29 columns"),
        (street(9), None, {"columns_hz": THIRDS}, "it has no column for time; give interval_s"),
        (street(9), "[1, ", {}, "log.npy.json must hold JSON"),
        (street(9), '{"bands_hz": "all"}', {}, "bands_hz must be numbers"),
        (street(9)[0], None, {}, r"must hold numbers \[row, band\], got float32 of shape \(29,\)"),
        (street(9).astype(str), None, {}, r"must hold numbers \[row, band\], got <U"),
        (street(0), None, {"columns_hz": THIRDS}, "a header and no row"),
    ],
)
def test_arrays_that_say_too_little_are_refused(
    tmp_path: Path, array: np.ndarray, facts: str | None, given: dict[str, object], says: str
) -> None:
    np.save(tmp_path / "log.npy", array)
    if facts is not None:
        (tmp_path / "log.npy.json").write_text(facts)
    with pytest.raises(HearlessError, match=says):
        open_levels(tmp_path / "log.npy", **given)


def test_pickles_and_other_bytes_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "log.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(HearlessError, match=r"no NPY file that can be read"):
        open_levels(tmp_path / "log.npy")
