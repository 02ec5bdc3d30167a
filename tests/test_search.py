"""Searches: a known optimum is found, draws repeat, a killed search goes on, several share a storage, wrong input."""

from __future__ import annotations

import builtins
import math
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hearless.interfaces import HearlessError
from hearless.search import Range, Tried, search

ALPHA, T = Range("alpha", 0.0, 1.0, step=0.05), Range("temperature", 1.0, 16.0, log=True)
SPACE = (ALPHA, T)


def hill(values: Mapping[str, float]) -> float:
    """Best at alpha 0.3 and temperature 4, where it is 1."""
    return 1 - (values["alpha"] - 0.3) ** 2 - 0.1 * math.log(values["temperature"] / 4) ** 2


def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'searches.sqlite3'}"


def run(tmp_path: Path, trials: int, score: Any = hill, **more: Any) -> tuple[Tried, ...]:
    return search("a", SPACE, score, trials=trials, storage=storage(tmp_path), **more)


def test_it_climbs_a_hill(tmp_path: Path) -> None:
    found = run(tmp_path, 20)
    best = max(found, key=lambda one: one.score)
    assert len(found) == 20
    assert best.score > 0.98
    assert abs(best.values["alpha"] - 0.3) <= 0.15
    later = sum(one.score for one in found[10:]) / 10
    assert later > sum(one.score for one in found[:5]) / 5


def test_values_lie_on_their_steps_and_within_their_ranges(tmp_path: Path) -> None:
    for one in run(tmp_path, 7):
        assert one.values["alpha"] * 20 == pytest.approx(round(one.values["alpha"] * 20))
        assert 1 <= one.values["temperature"] <= 16
        assert one.values["temperature"] == float(f"{one.values['temperature']:.3g}")
        assert one.score == hill(one.values)


def test_the_first_point_is_tried_first(tmp_path: Path) -> None:
    first = {"alpha": 0.5, "temperature": 4.0}
    assert [one.values for one in run(tmp_path, 1, first=first)] == [first]


def test_the_same_seed_draws_the_same_and_another_others(tmp_path: Path) -> None:
    for name in "xyz":
        (tmp_path / name).mkdir()
    same = [run(tmp_path / name, 3, seed=1) for name in "xy"]
    assert same[0] == same[1] != run(tmp_path / "z", 3, seed=2)


def test_asked_again_it_tries_nothing_and_for_more_it_goes_on(tmp_path: Path) -> None:
    tried = []

    def counted(values: Mapping[str, float]) -> float:
        tried.append(values)
        return hill(values)

    first = run(tmp_path, 4, counted)
    assert run(tmp_path, 4, counted) == first
    assert len(tried) == 4
    (tmp_path / "whole").mkdir()
    assert run(tmp_path, 7, counted) == run(tmp_path / "whole", 7)  # interrupted or not, the same trials


KILLED = """
import os, sys
from hearless.search import Range, search
space = (Range("alpha", 0.0, 1.0, step=0.05), Range("temperature", 1.0, 16.0, log=True))
seen = []
def score(values):
    seen.append(values)
    if len(seen) == 3:
        print(values["alpha"], values["temperature"], flush=True)
        os._exit(9)
    return 0.0
search("a", space, score, trials=5, storage=sys.argv[1], where=sys.argv[2])
"""


def test_a_trial_that_was_killed_is_finished_first(tmp_path: Path) -> None:
    """Killed in its third trial: that very point is scored on return, nothing is tried twice and nothing is lost."""
    made = subprocess.run(
        [sys.executable, "-c", KILLED, storage(tmp_path), "runs"], capture_output=True, text=True, check=False
    )
    assert made.returncode == 9
    alpha, temperature = map(float, made.stdout.split())
    tried: list[Mapping[str, float]] = []

    def score(values: Mapping[str, float]) -> float:
        tried.append(values)
        return 1.0

    found = run(tmp_path, 5, score, where="runs")
    assert tried[0] == {"alpha": alpha, "temperature": temperature}
    assert [one.number for one in found] == [0, 1, 2, 3, 4]
    assert [one.score for one in found] == [0.0, 0.0, 1.0, 1.0, 1.0]
    assert len(tried) == 3


def test_several_points_at_once_are_made_ready_together(tmp_path: Path) -> None:
    told: list[list[Mapping[str, float]]] = []
    scored: list[Mapping[str, float]] = []

    def score(values: Mapping[str, float]) -> float:
        assert values in told[-1]
        scored.append(values)
        return hill(values)

    found = run(tmp_path, 5, score, at_once=2, ready=lambda points: told.append(list(points)))
    assert [len(points) for points in told] == [2, 2, 1]
    assert [one.values for one in found] == scored == [point for points in told for point in points]
    assert len({tuple(point.items()) for point in scored}) == 5
    (tmp_path / "alone").mkdir()
    assert run(tmp_path / "alone", 2) == found[:2]  # the first are drawn at random, whoever waits


def test_trials_that_were_killed_together_are_made_ready_together(tmp_path: Path) -> None:
    told: list[list[Mapping[str, float]]] = []

    def stopped(points: Sequence[Mapping[str, float]]) -> None:
        told.append(list(points))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, 3, at_once=2, ready=stopped)
    found = run(tmp_path, 3, at_once=2, ready=lambda points: told.append(list(points)))
    assert [len(points) for points in told] == [2, 2, 1]
    assert told[1] == told[0]
    assert [one.number for one in found] == [0, 1, 2]


def test_another_machines_trial_is_left_to_it(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, storage(tmp_path), "elsewhere"], capture_output=True, check=False)
    found = run(tmp_path, 5, where="runs")
    assert [one.number for one in found] == [0, 1, 3, 4, 5]


def test_searches_of_other_names_share_a_storage(tmp_path: Path) -> None:
    run(tmp_path, 2)
    other = search("b", (ALPHA,), lambda values: values["alpha"], trials=3, storage=storage(tmp_path))
    assert len(other) == 3
    assert len(run(tmp_path, 2)) == 2


def test_a_failed_trial_is_said_and_the_search_goes_on(tmp_path: Path) -> None:
    said: list[str] = []

    def sometimes(values: Mapping[str, float]) -> float:
        if len(said) % 2:
            raise HearlessError("the loss must stay finite")
        return hill(values)

    found = run(tmp_path, 4, sometimes, say=said.append)
    assert [one.number for one in found] == [0, 2]
    assert said[1].startswith("trial 2: alpha ")
    assert said[1].endswith("failed: the loss must stay finite")


def test_a_search_without_a_good_trial_finds_nothing(tmp_path: Path) -> None:
    def never(values: Mapping[str, float]) -> float:
        raise HearlessError("no")

    assert run(tmp_path, 2, never) == ()
    assert run(tmp_path, 2) == ()  # what has failed is not tried again


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////no/such/folder/x.sqlite3", "postgresql://nobody@nowhere/x"])
def test_a_storage_that_does_not_open_is_refused(url: str) -> None:
    with pytest.raises(HearlessError, match=f"storage must be an Optuna storage URL that opens.*got '{url}'"):
        search("a", SPACE, hill, trials=1, storage=url)


def test_what_is_no_storage_is_refused(tmp_path: Path) -> None:
    (tmp_path / "searches.sqlite3").write_text("this is no database, but text that is long enough to look like one")
    with pytest.raises(HearlessError, match="storage must be an Optuna storage URL that opens"):
        run(tmp_path, 1)


def test_a_search_is_kept_in_the_file_that_was_named(tmp_path: Path) -> None:
    run(tmp_path, 2)
    with sqlite3.connect(tmp_path / "searches.sqlite3") as database:
        assert database.execute("select count(*) from trials").fetchone() == (2,)
    database.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"low": 1.0, "high": 1.0}, "x: a range needs finite low < high, above 0 where log, got 1.0 … 1.0"),
        ({"low": 0.0, "high": 1.0, "log": True}, "above 0 where log, got 0.0"),
        ({"low": 0.0, "high": math.inf}, "finite low < high"),
        ({"low": 0.0, "high": 1.0, "step": 2.0}, "x: step must lie within the range"),
        ({"low": 1.0, "high": 2.0, "step": 0.1, "log": True}, "not beside log, got 0.1"),
    ],
)
def test_ranges_are_checked(words: dict[str, Any], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        Range("x", **words)


@pytest.mark.parametrize(("space", "trials"), [((), 1), (SPACE, 0)])
def test_a_search_needs_a_range_and_a_trial(tmp_path: Path, space: tuple[Range, ...], trials: int) -> None:
    with pytest.raises(HearlessError, match=f"a search needs a range and trials .*, got {len(space)} and {trials}"):
        search("a", space, hill, trials=trials, storage=storage(tmp_path))


def test_without_optuna_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "optuna":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(HearlessError, match=r"pip install 'hearless\[search\]'"):
        run(tmp_path, 1)
