"""What the tests of pictures share: what a file says, what colour it has, and what matplotlib is given."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.axes
import numpy as np
import pytest


@pytest.fixture
def texts() -> Callable[[Path], list[str]]:
    """Return a function that reads an SVG's texts, in order, as matplotlib notes them beside their outlines."""
    return lambda path: [text.strip() for text in re.findall(r"<!--(.*?)-->", path.read_text(encoding="utf-8"))]


@pytest.fixture
def words(texts: Callable[[Path], list[str]]) -> Callable[[Path], set[str]]:
    """Return a function that reads which texts an SVG has."""
    return lambda path: set(texts(path))


@pytest.fixture
def near() -> Callable[..., np.ndarray]:
    """Return a function that says which pixels of an image have a colour."""
    return lambda image, colour: np.abs(image[..., :3] - np.array(colour)).max(axis=-1) < 0.01


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, np.ndarray, dict[str, Any]]]:
    """Collect what matplotlib is given: axes, values, options."""
    calls = []
    true = matplotlib.axes.Axes.imshow

    def imshow(place: Any, values: np.ndarray, **options: Any) -> Any:
        calls.append((place, values, options))
        return true(place, values, **options)

    monkeypatch.setattr(matplotlib.axes.Axes, "imshow", imshow)
    return calls


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any, dict[str, Any]]]:
    """Return what is drawn with error bars: x, y and the rest."""
    found: list[tuple[Any, Any, dict[str, Any]]] = []
    real = matplotlib.axes.Axes.errorbar

    def errorbar(self: Any, x: Any, y: Any, **more: Any) -> Any:
        found.append((x, y, more))
        return real(self, x, y, **more)

    monkeypatch.setattr(matplotlib.axes.Axes, "errorbar", errorbar)
    return found
