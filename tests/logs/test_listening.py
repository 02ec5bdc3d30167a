from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hearless.interfaces import HearlessError
from hearless.levels import LevelLog
from hearless.logs import LevelListener, Wanted, check, labels_of, n_rows, seconds_of, usual_every_s


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1), ("10min", 600), (" 1 h", 3600), ("1d", 86400), ("0.5s", 0.5)])
def test_periods_are_read_from_words(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "minute", "-1s", "0s", "1 week"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(HearlessError, match="a period must be such as 1s, 10min, 1h or 1d, got"):
        seconds_of(text)


def test_labels_may_hold_commas() -> None:
    known = ("Siren", "Fire engine, fire truck (siren)", "Dog", "Fire")
    asked = "Dog, Fire engine, fire truck (siren),Siren , Fire, Cat"
    assert labels_of(asked, known) == ("Dog", "Fire engine, fire truck (siren)", "Siren", "Fire", "Cat")
    assert labels_of("", known) == ()


def test_what_does_not_fit_is_refused_with_the_command_that_makes_it_fit(
    log: Callable[..., LevelLog], street: Any, listener: LevelListener
) -> None:
    table = log(street(80)).table
    wanted = Wanted()
    said = r"thirds hears 1/3-octave levels every 0\.125 s, the log has 1/1-octave ones every 0\.125 s; train one for "
    with pytest.raises(HearlessError, match=said + r"it: hearless train --set fast --set octaves=1/1\."):
        check(replace(table, kind="1/1"), listener, wanted)
    octaves = replace(listener, kind="1/1")
    assert check(replace(table, kind="1/1"), octaves, wanted) is None
    with pytest.raises(HearlessError, match=r"train one for it: hearless train --set fast\."):
        check(table, octaves, wanted)
    slow = replace(table, interval_s=1.0)
    with pytest.raises(
        HearlessError, match=r"every 0\.125 s, the log has 1/3-octave ones every 1 s; .*hearless train --set slow\."
    ):
        check(slow, listener, wanted)
    with pytest.raises(HearlessError, match=r"every 0\.5 s; log a level every 0\.125 s or 1 s\."):
        check(replace(table, interval_s=0.5), listener, wanted)
    assert check(slow, replace(listener, interval_s=1.0), wanted) is None


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted(hop_s=1.5), r"hop_s must be 0\.125 s to 1 s, got 1\.5"),
        (Wanted(hop_s=0.0), "hop_s must be"),
        (Wanted(every_s=0.5), r"every must be at least the window of 1 s, got 0\.5 s"),
        (Wanted(top=0), "top must be at least 1, got 0"),
        (Wanted(only=("low", "Middle")), r"classes of the model, got Middle; like it: mid, middle\."),
        (Wanted(only=("dog",)), r"got dog; such as low, mid, middle, high\."),
    ],
)
def test_wrong_options_are_refused(
    log: Callable[..., LevelLog], street: Any, listener: LevelListener, wanted: Wanted, said: str
) -> None:
    with pytest.raises(HearlessError, match=said):
        check(log(street(80)).table, listener, wanted)


def test_the_rows_of_text_are_estimated_and_long_logs_are_averaged(log: Callable[..., LevelLog], street: Any) -> None:
    short, long = street(800), np.tile(street(800), (40, 1))
    assert n_rows(log(short)) == pytest.approx(800, rel=0.05)
    assert n_rows(log(short[:40], name="brief.csv")) == 40  # all of it is looked at
    assert n_rows(log(short, name="log.npy", start=None)) == 800
    assert usual_every_s(log(short)) is None
    assert usual_every_s(log(long, name="long.npy", start=None)) == 60.0
