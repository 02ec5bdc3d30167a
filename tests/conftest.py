"""Shared fixtures: where the real recordings lie, and a tiny table of sounds that a network learns in a second."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the suite runs in several processes; before NumPy and torch load

import numpy as np
import pytest
import soundfile

TINY_RATE_HZ = 8000


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real recordings and weights beside the checkout, or skip."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("needs the real recordings in ../shared/ beside the checkout")
    return folder


def tiny_sound(label: str, number: int, seconds: float = 0.5) -> np.ndarray:
    """Return a short sound: hiss (noise), hum (a low tone) or tick (clicks), each in a little noise."""
    rng = np.random.default_rng([number, *map(ord, label)])
    time_s = np.arange(round(seconds * TINY_RATE_HZ)) / TINY_RATE_HZ
    noise = rng.standard_normal(len(time_s))
    if label == "hiss":
        return 0.1 * noise
    if label == "hum":
        return 0.005 * noise + 0.3 * np.sin(2 * np.pi * (150 + 10 * number) * time_s)
    return 0.005 * noise + 0.8 * (np.arange(len(time_s)) % 500 == 20 * number)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with 24 half-second clips at 8 kHz: 3 classes, 2 folds, 12 recordings of 2 clips.

    ``meta.csv`` has path, label, fold, group and ``kind`` (other classes, "loud" and "soft"); ``multi.csv`` has
    several labels a clip; ``folders/`` has a folder a class.
    """
    root = tmp_path_factory.mktemp("tiny")
    rows, multi = ["path,label,fold,group,kind"], ["path,label,fold,group"]
    for label in ("hiss", "hum", "tick"):
        for i in range(8):
            for path in (root / "audio" / f"{label}{i}.wav", root / "folders" / label / f"{i}.wav"):
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, tiny_sound(label, i), TINY_RATE_HZ)
            place = f"{i // 4 + 1},{label}-{i // 2}"
            rows.append(f"{label}{i}.wav,{label},{place},{'loud' if i % 2 else 'soft'}")
            multi.append(f"{label}{i}.wav,{label}{';hum' if label != 'hum' and i % 2 else ''},{place}")
    (root / "meta.csv").write_text("\n".join(rows) + "\n")
    (root / "multi.csv").write_text("\n".join(multi) + "\n")
    return root


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of runs on the tiny table that several test files share, so that each is trained once."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def on_shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str, str], type]]:
    """Return a function that puts a file on a shelf for one test: ``(shelf, class name, text) -> class``."""
    from hearless import spec

    caches, modules = (spec.shelf_files, spec.class_names), []

    def put(shelf: str, name: str, text: str) -> type:
        folder = tmp_path / "shelves" / shelf
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name.lower()}.py").write_text(text)
        package = importlib.import_module(f"hearless.{shelf}")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        modules.append(f"hearless.{shelf}.{name.lower()}")
        for cache in caches:
            cache.cache_clear()
        return spec.resolve(shelf, name)

    yield put
    for cache in caches:
        cache.cache_clear()
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def cached(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep decoded sound beside the tiny table, and torch on one thread, so that bits do not depend on the machine."""
    import torch

    monkeypatch.setenv("HEARLESS_CACHE", str(tiny / "cache"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
