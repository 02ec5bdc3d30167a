"""The progress bar of a training: what it shows on a narrow terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.text import Text

from hearless.cli.progress import fitting, watched_lab
from hearless.train import Tick

NAME = "tfe4-signal-cssd-1000Hz-alpha0.1-T8-crossfit3 fold10-seed0"


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_line_keeps_its_beginning_its_fold_and_its_epoch(width: int) -> None:
    name, words = fitting(NAME, ("epoch 3/100", "123 clips/s", "loss 1.234"), width)
    assert len(f"{name} ---------- 100 % 12:34:56 {words}") <= width
    assert name.startswith("tfe4")
    assert name.endswith("fold10-seed0")
    assert words.startswith("epoch 3/100")
    assert (width == 200) == (words.endswith("loss 1.234"))
    assert (name == NAME) == (width >= 100)


def test_a_short_name_leaves_room_for_more_words() -> None:
    assert fitting("full fold1-seed0", ("epoch 1/9", "12 clips/s", "loss 1.2"), 80) == (
        "full fold1-seed0", "epoch 1/9, 12 clips/s, loss 1.2",
    )  # fmt: skip


def test_eighty_columns_show_what_trains_the_epoch_and_the_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "80", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    with watched_lab(tmp_path, tmp_path, "cpu") as lab:
        for clips in (100, 200):
            lab.tick(f"time_frequency_enhancer/{NAME}", Tick(3, 100, clips, 400, 123.4, {"loss": 1.234}))
    shown = [Text.from_ansi(line).plain.strip() for line in capsys.readouterr().err.splitlines()]
    line = next(line for line in reversed(shown) if "epoch" in line)
    assert len(line) <= 80
    assert line.startswith("tfe4-signal-")
    assert line.endswith("epoch 3/100")
    assert "fold10-seed0 ━" in line
    assert ":" in line  # the time left
