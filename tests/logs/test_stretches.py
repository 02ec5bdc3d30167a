from __future__ import annotations

import copy
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearless.interfaces import HearlessError
from hearless.levels import LevelLog, open_levels, write_levels
from hearless.logs import LevelListener, Place, Stretch, Wanted, sources

from .conftest import THIRDS, classify

Log = Callable[..., LevelLog]


def read(log: LevelLog, listener: LevelListener, wanted: Wanted, place: Place | None = None) -> list[Stretch]:
    return [stretch for done, _ in sources(log, listener, wanted, place) for stretch in done]


def plain(stretches: list[Stretch]) -> list[tuple[Any, ...]]:
    return [(s.start_s, s.end_s, s.missing, *s.scores.tolist()) for s in stretches]


def test_each_window_is_what_the_listener_says_of_it(log: Log, street: Any, listener: LevelListener) -> None:
    levels_db = street(83)
    found = read(log(levels_db, None), listener, Wanted(offset_db=3.0))
    expected = classify(levels_db[:80].reshape(10, 8, 29).swapaxes(1, 2) + np.float32(3.0))
    np.testing.assert_allclose([s.scores for s in found[:10]], expected, atol=1e-6)
    assert [(s.start_s, s.end_s) for s in found] == [*((t, t + 1.0) for t in range(10)), (10.0, 10.375)]
    assert [s.missing for s in found] == [0.0] * 10 + [5 / 8]
    rest = np.concatenate([levels_db[80:], levels_db[[82] * 5]])
    np.testing.assert_allclose(found[10].scores, classify(rest.T[None] + np.float32(3.0))[0], atol=1e-6)


@pytest.mark.parametrize("hop_s", [None, 0.5])
def test_a_periods_score_is_the_mean_of_its_windows_by_what_is_there(
    log: Log, street: Any, listener: LevelListener, hop_s: float | None
) -> None:
    levels_db = street(400)
    levels_db[100:107, 3:9] = np.nan
    opened = log(levels_db)  # from 12:00:03: 7 s of the first period, 3 s of the last
    every = read(opened, listener, Wanted(every_s=10.0, hop_s=hop_s))
    alone = read(opened, listener, Wanted(hop_s=hop_s))
    assert len({s.start_s for s in alone}) == len(alone) > 50 - 2
    zero_s = every[0].start_s
    assert zero_s % 86400 == 12 * 3600
    assert [s.start_s - zero_s for s in every] == [0, 10, 20, 30, 40, 50]
    if hop_s is None:
        for one in every:
            inside = [s for s in alone if one.start_s <= s.start_s < one.end_s]
            mean = np.average([s.scores for s in inside], axis=0, weights=[1 - s.missing for s in inside])
            np.testing.assert_allclose(one.scores, mean, rtol=1e-12)
    missing = [s.missing for s in every]
    assert missing == pytest.approx([0.3, 42 / 29 / 80, 0, 0, 0, 0.7])


def test_gaps_are_told_and_parts_on_both_sides_heard(log: Log, street: Any, listener: LevelListener) -> None:
    levels_db = street(1600)
    opened = log(levels_db, drop=slice(84, 1484))
    found = read(opened, listener, Wanted())
    gap = found.index(next(s for s in found if not len(s.scores)))
    zero_s = found[0].start_s
    assert (found[gap].start_s - zero_s, found[gap].end_s - zero_s, found[gap].missing) == (10.5, 185.5, 1.0)
    assert [s.end_s - zero_s for s in found[gap - 1 : gap + 2]] == [10.5, 185.5, 186.5]
    expected = classify(levels_db[1484:1492].T[None])[0]
    np.testing.assert_allclose(found[gap + 1].scores, expected, atol=1e-6)
    periods = read(opened, listener, Wanted(every_s=60.0))
    assert [(s.start_s - periods[0].start_s, len(s.scores)) for s in periods] == [(0, 3), (60, 0), (180, 3)]
    assert periods[1].end_s == periods[2].start_s
    assert periods[1].missing == 1.0
    assert periods[0].missing == pytest.approx(1 - 84 / 480)


def test_windows_without_a_level_are_marked_and_missing_bands_counted(
    log: Log, street: Any, listener: LevelListener
) -> None:
    levels_db = street(64)
    levels_db[8:24] = np.nan
    levels_db[32:40, :3] = np.nan
    found = read(log(levels_db), listener, Wanted())
    assert [s.missing for s in found] == pytest.approx([0, 1, 1, 0, 3 / 29, 0, 0, 0])
    assert [len(s.scores) for s in found] == [3, 0, 0, 3, 3, 3, 3, 3]
    filled = levels_db[32:40].copy()
    filled[:, :3] = filled[:, 3:4]
    np.testing.assert_allclose(found[4].scores, classify(filled.T[None])[0], atol=1e-6)


@pytest.mark.parametrize("wanted", [Wanted(), Wanted(every_s=7.0), Wanted(every_s=30.0, hop_s=0.25), Wanted(hop_s=0.5)])
def test_reading_resumes_at_any_place_as_if_it_had_never_stopped(
    log: Log, street: Any, listener: LevelListener, wanted: Wanted
) -> None:
    levels_db = street(3000)
    levels_db[700:900] = np.nan
    levels_db[500:520, :5] = np.nan
    opened = log(levels_db, drop=slice(1024, 1600))
    places, done_before, whole = [Place()], [0], list[Stretch]()
    for done, place in sources(opened, listener, wanted):
        whole += done
        places.append(copy.deepcopy(place))
        done_before.append(len(whole))
    assert len(places) >= 6
    for place, n in list(zip(places, done_before, strict=True))[:-1]:
        assert plain(read(opened, listener, wanted, copy.deepcopy(place))) == plain(whole[n:])
    assert places[-1].notes == {"gap": 1}
    assert places[-1].n_rows == 3000 - 576


def test_notes_are_counted_once_wherever_reading_resumes(log: Log, street: Any, listener: LevelListener) -> None:
    levels_db = street(2000)
    levels_db[300:1300] = -np.inf
    opened = log(levels_db)
    for stop in range(1, 4):
        place = Place()
        for number, _ in enumerate(sources(opened, listener, Wanted(), place), 1):
            if number == stop:
                break
        resumed = copy.deepcopy(place)
        read(opened, listener, Wanted(), resumed)
        assert resumed.notes == {"silence": 1000}


def test_memory_does_not_grow_with_the_log(tmp_path: Path, street: Any, listener: LevelListener) -> None:
    peaks = []
    for minutes in (40, 120):
        path = tmp_path / f"{minutes}.npy"
        write_levels(path, np.tile(street(4800), (minutes // 10, 1)), THIRDS, 0.125)
        opened = open_levels(path)
        tracemalloc.start()
        n = sum(len(done) for done, _ in sources(opened, listener, Wanted(every_s=60.0)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert n == minutes
    assert peaks[1] < 1.2 * peaks[0] + 1e5
    assert peaks[1] < 40e6


def test_a_listener_that_says_nonsense_is_refused(log: Log, street: Any) -> None:
    bad = LevelListener(lambda levels: np.zeros((len(levels), 2)), ("a", "b", "c"), 0.125, 1.0, name="bad")
    with pytest.raises(HearlessError, match=r"bad must return finite scores \(10, 3\), got \(10, 2\)"):
        read(log(street(80)), bad, Wanted())
