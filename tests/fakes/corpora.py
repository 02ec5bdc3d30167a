"""Tiny corpora of noise in their true layout, one builder a data set; tests load this file by its path.

``BUILDERS`` maps a data set's class name to its builder; a data set that makes its own sounds needs none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def noise(path: Path, *, seconds: float = 1.0, rate_hz: int = 8000, seed: int = 0) -> None:
    """Write quiet white noise, folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate_hz))
    soundfile.write(path, samples.clip(-1, 1), rate_hz)


def table(path: Path, text: str) -> None:
    """Write a table, folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def esc50(root: Path) -> None:
    """ESC-50: two classes (one of ESC-10) in each of five folds, two takes a recording."""
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for fold in range(1, 6):
        for target, label, esc10 in ((0, "dog", True), (6, "hen", False)):
            source = 1000 * fold + target
            for take in "AB":
                name = f"{fold}-{source}-{take}-{target}.wav"
                noise(root / "audio" / name, seconds=1.0, rate_hz=44100, seed=source + ord(take))
                rows.append(f"{name},{fold},{target},{label},{esc10},{source},{take}")
    table(root / "meta" / "esc50.csv", "\n".join(rows) + "\n")


def csv_labels(root: Path) -> None:
    """A user's table: two classes, six recordings of two clips, no folds."""
    rows = ["path,label,group"]
    for index in range(12):
        noise(root / "audio" / f"{index}.wav", seconds=0.1, seed=index)
        rows.append(f"{index}.wav,{'ab'[index // 2 % 2]},r{index // 2}")
    table(root / "meta.csv", "\n".join(rows) + "\n")


def folder_labels(root: Path) -> None:
    """A user's folders: two classes of three sounds."""
    for label in ("cat", "dog"):
        for index in range(3):
            noise(root / label / f"{index}.wav", seconds=0.1, seed=index)


BUILDERS = {"ESC50": esc50, "CsvLabels": csv_labels, "FolderLabels": folder_labels}
