from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hearless.interfaces import HearlessError
from hearless.levels import LevelLog, open_levels
from hearless.logs import LevelListener, Wanted, write, writing

from .conftest import LABELS, classify

Log = Callable[..., LevelLog]


@pytest.fixture
def log3(log: Log, street: Any) -> LevelLog:
    levels_db = street(3000)
    levels_db[700:900] = np.nan
    return log(levels_db, drop=slice(1024, 1600))


def journal(out: Path) -> dict[str, Any]:
    return json.loads(out.with_name(out.name + ".journal.json").read_text())


def failing(listener: LevelListener, after: int) -> LevelListener:
    """Return a listener that stops after so many batches."""
    calls = iter(range(after))

    def stop(levels_db: NDArray[np.float32]) -> NDArray[Any]:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return classify(levels_db)

    return replace(listener, classify=stop)


@pytest.mark.parametrize("wanted", [Wanted(), Wanted(every_s=10.0), Wanted(hop_s=0.5, only=("high",))])
def test_stopped_after_any_batch_it_ends_in_the_same_bytes(
    log3: LevelLog, listener: LevelListener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: Wanted
) -> None:
    monkeypatch.setattr(writing, "JOURNAL_S", 0.0)
    whole = write(log3, listener, tmp_path / "whole.csv", wanted)
    text = whole.path.read_bytes()
    assert journal(whole.path)["stage"] == "done"
    assert text.count(b"\n") == whole.n_rows + 1 > 30
    for after in range(4):
        out = tmp_path / f"{after}.csv"
        with pytest.raises(KeyboardInterrupt):
            write(log3, failing(listener, after), out, wanted)
        assert not out.exists()
        if after:
            kept = journal(out)
            assert kept["stage"] == "rows"
            with out.with_name(out.name + ".partial").open("ab") as file:
                file.write(b"torn,li")  # what a crash may leave behind the journal's last entry
        with pytest.raises(KeyboardInterrupt):
            write(log3, failing(listener, 1), out, wanted)
        done = write(log3, listener, out, wanted)
        assert (done.n_rows, done.n_log_rows, done.notes) == (whole.n_rows, whole.n_log_rows, whole.notes)
        assert out.read_bytes() == text


SLOW = """
import sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
from conftest import LABELS, classify
from hearless.levels import open_levels
from hearless.logs import LevelListener, Wanted, write, writing
writing.JOURNAL_S = 0.0
def slow(levels_db):
    time.sleep(0.5)
    return classify(levels_db)
listener = LevelListener(slow, LABELS, 0.125, 1.0, name="thirds")
write(open_levels({log!r}), listener, {out!r}, Wanted(every_s=5.0))
"""


def test_killed_it_goes_on_and_loses_and_doubles_nothing(
    log3: LevelLog, listener: LevelListener, tmp_path: Path
) -> None:
    whole = write(log3, listener, tmp_path / "whole.csv", Wanted(every_s=5.0)).path.read_bytes()
    out = tmp_path / "out.csv"
    code = SLOW.format(folder=str(Path(__file__).parent), log=str(log3.table.path), out=str(out))
    process = subprocess.Popen([sys.executable, "-c", code])
    until = time.monotonic() + 60
    while not out.with_name("out.csv.journal.json").is_file():
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not out.exists()
    assert 0 < journal(out)["n_bytes"] < len(whole)
    write(log3, listener, out, Wanted(every_s=5.0))
    assert out.read_bytes() == whole


def test_done_is_done(log3: LevelLog, listener: LevelListener, tmp_path: Path) -> None:
    first = write(log3, listener, tmp_path / "out.csv", Wanted())
    before = first.path.stat().st_mtime_ns
    assert write(log3, failing(listener, 0), tmp_path / "out.csv", Wanted()) == first
    assert first.path.stat().st_mtime_ns == before
    text = first.path.read_bytes()
    first.path.unlink()  # deleted by hand: made anew
    assert write(log3, listener, tmp_path / "out.csv", Wanted()) == first
    assert first.path.read_bytes() == text


def test_another_log_model_or_option_is_refused(
    log3: LevelLog, log: Log, street: Any, listener: LevelListener, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    write(log3, listener, out, Wanted(), reading={"columns": "LZeq"})
    with pytest.raises(HearlessError, match=r"begun with another top \(5; now 1\); write to .*, or delete .*journal"):
        write(log3, listener, out, Wanted(top=1), reading={"columns": "LZeq"})
    with pytest.raises(HearlessError, match=r"begun with another columns \(\"LZeq\"; now null\)"):
        write(log3, listener, out, Wanted())
    with pytest.raises(HearlessError, match=r'begun with another model \("thirds"; now "other"\)'):
        write(log3, replace(listener, name="other"), out, Wanted(), reading={"columns": "LZeq"})
    with pytest.raises(HearlessError, match=r"begun with another log \(\"\d+ bytes"):
        write(log(street(800), name="b.csv"), listener, out, Wanted(), reading={"columns": "LZeq"})
    with pytest.raises(HearlessError, match=r"out\.txt: sources are written as \.csv or \.parquet"):
        write(log3, listener, tmp_path / "out.txt", Wanted())


def test_progress_is_told_in_rows(log3: LevelLog, listener: LevelListener, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write(log3, listener, tmp_path / "out.csv", Wanted(), on_progress=lambda *at: told.append(at))
    rows = [row for row, _ in told]
    assert rows == sorted(rows)
    assert rows[-1] == 3000 - 576
    assert all(total >= row for row, total in told)
    assert told[0][1] == pytest.approx(2424, rel=0.1)


def test_a_wrong_row_stops_with_what_to_do_and_marked_it_goes_on(
    log3: LevelLog, listener: LevelListener, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.csv"
    rows = log3.table.path.read_text().splitlines()
    rows[500] = rows[500].replace(rows[500].split(",")[3], "loud")
    path.write_text("\n".join(rows) + "\n")
    out = tmp_path / "out.csv"
    with pytest.raises(HearlessError, match=r"wrong\.csv, row 499 .*a level must be a number, got 'loud'"):
        write(open_levels(path), listener, out, Wanted())
    done = write(open_levels(path, on_error="mark"), listener, out, Wanted())
    assert done.notes["value"] == 1
    assert LABELS[0] in out.read_text()
