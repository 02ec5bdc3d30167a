"""Windows to events, against events that are put in, and laws."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearless.events import Event, events
from hearless.interfaces import HearlessError

LABELS = ("dog", "rain")


def of(dog: list[float], rain: list[float] | None = None, hop_s: float = 1.0, window_s: float = 1.0, **more: float):
    scores = np.array([dog, rain or [0.0] * len(dog)]).T
    spans = [(hop_s * i, hop_s * i + window_s) for i in range(len(dog))]
    return events(spans, scores, scores >= 0.5, LABELS, **more)


def test_windows_that_touch_are_one_event_with_their_greatest_score() -> None:
    assert of([0.1, 0.6, 0.9, 0.2, 0.7]) == [Event(1, 3, "dog", 0.9), Event(4, 5, "dog", 0.7)]
    assert of([0.9, 0.9, 0.9]) == [Event(0, 3, "dog", 0.9)]
    assert of([0.1, 0.2]) == []
    assert of([]) == []


def test_windows_that_overlap_are_one_event() -> None:
    assert of([0.6, 0.1, 0.8, 0.1, 0.1], hop_s=0.5, window_s=1.0) == [Event(0, 2, "dog", 0.8)]


def test_each_class_has_its_own_events_in_order_of_time() -> None:
    found = of([0.9, 0.9, 0.0, 0.9], [0.0, 0.6, 0.7, 0.0])
    assert found == [Event(0, 2, "dog", 0.9), Event(1, 3, "rain", 0.7), Event(3, 4, "dog", 0.9)]


def test_near_ones_are_joined_before_short_ones_are_left_out() -> None:
    scores = [0.9, 0.0, 0.9, 0.0, 0.0, 0.0, 0.9]
    assert of(scores, join_s=1.0) == [Event(0, 3, "dog", 0.9), Event(6, 7, "dog", 0.9)]
    assert of(scores, join_s=1.0, shortest_s=2.0) == [Event(0, 3, "dog", 0.9)]
    assert of(scores, shortest_s=1.0) == of(scores)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 3))
def test_events_are_parted_by_more_than_is_joined_and_lose_no_window(scores: list[float], join_s: float) -> None:
    found = of(scores, join_s=join_s)
    assert all(b.start_s - a.end_s > join_s for a, b in pairwise(found))
    for i, one in enumerate(scores):
        inside = any(event.start_s <= i and i + 1 <= event.end_s for event in found)
        assert inside or one < 0.5
    starts = {event.start_s for event in found} | {event.end_s - 1 for event in found}
    assert all(scores[round(start)] >= 0.5 for start in starts)


def test_wrong_input_is_refused() -> None:
    for name in ("join_s", "shortest_s"):
        with pytest.raises(HearlessError, match=f"{name[:-2]} must be 0 s or more, got -1 s"):
            of([0.9], **{name: -1.0})
    with pytest.raises(HearlessError, match=r"scores must be \[window, class\] \(1, 2\), got \(2, 2\)"):
        events([(0, 1)], np.ones((2, 2)), np.ones((2, 2), bool), LABELS)
