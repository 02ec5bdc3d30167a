"""What tests of recipes share: no process is started to measure the memory of a tiny training."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def memory_unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hearless.costs.memory_mb", lambda recipe, labels, clip_s: 123.0)
