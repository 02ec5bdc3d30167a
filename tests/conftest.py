"""Shared fixtures: where the real recordings lie, and one thread a test."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real recordings and weights beside the checkout, or skip."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("needs the real recordings in ../shared/ beside the checkout")
    return folder
