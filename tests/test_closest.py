"""What was meant."""

from __future__ import annotations

from hearless.closest import closest


def test_the_closest_name_is_meant_or_none() -> None:
    assert closest("epoch", ["batch_size", "epochs", "int8_epochs"]) == "epochs"
    assert closest("colour", ["batch_size", "epochs"]) == ""
    assert closest("epoch", []) == ""
