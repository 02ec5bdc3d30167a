"""Pictures of what a sensor hears, what a model makes of it and what a table says: PNG, SVG or PDF, as the ending says.

matplotlib is imported inside and draws without a display.
"""

from __future__ import annotations

from hearless.pictures.features import FACTOR
from hearless.pictures.hearing import Hearing, Layer, hearings, layers
from hearless.pictures.hours import Hours, day
from hearless.pictures.lines import Curve, curves, multiples
from hearless.pictures.matrices import confusions, heat_map, similarities
from hearless.pictures.points import Cloud, Point, clouds
from hearless.pictures.rows import bars, dots
from hearless.pictures.sensors import Panel, spectrograms

__all__ = [
    "FACTOR",
    "Cloud",
    "Curve",
    "Hearing",
    "Hours",
    "Layer",
    "Panel",
    "Point",
    "bars",
    "clouds",
    "confusions",
    "curves",
    "day",
    "dots",
    "hearings",
    "heat_map",
    "layers",
    "multiples",
    "similarities",
    "spectrograms",
]
