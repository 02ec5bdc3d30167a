"""Logs of levels: written of a sound as a sensor would, and named by a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hearless import audio, logs
from hearless.captures.third_octave import ThirdOctave
from hearless.door.model import Model, settled_offset_db
from hearless.door.models import Listening, model_of
from hearless.dsp.octave_bands import INTERVALS, RATE_HZ, nominal_hz
from hearless.levels import LevelLog, open_levels, write_levels


def sources(
    model: Listening, log: str | Path, out: str | Path, *, every: str | None = None,
    hop_s: float | None = None, window_s: float | None = None, db_offset: float | None = None, top: int | None = 5,
    only: str | Sequence[str] = (), on_progress: logs.Progress | None = None,
    say: Callable[[str], None] = lambda text: None, **reading: Any,
) -> logs.Written:  # fmt: skip
    """Write the table of sources over time of a level log; killed, the same call goes on where it was.

    Args:
        model: a model of levels, or its run.
        log: the level table.
        out: ``.csv`` or ``.parquet``, see `hearless.logs.write`.
        every: scores are averaged over ``"1min"``, ``"1h"`` …; ``"window"``: a row a window; None: a minute, or for a
            log of less than an hour a row a window.
        hop_s: seconds between windows.
        window_s: what is heard at once; None: as in training.
        db_offset: added to the log's levels; None: estimated from the medians of log and training clips.
        top: labels in a row.
        only: labels wanted instead of the best.
        on_progress: told rows done and rows in all.
        say: told the offset and its evidence.
        reading: how the log is read: arguments of `hearless.levels.open_levels`.

    Raises:
        HearlessError: log, model and options do not fit.
    """
    opened, listener, wanted = prepared(
        model_of(model), log, every=every, hop_s=hop_s, window_s=window_s, db_offset=db_offset, top=top, only=only,
        say=say, **reading,
    )  # fmt: skip
    return logs.write(opened, listener, out, wanted, reading=reading, on_progress=on_progress)


def prepared(
    model: Model, path: str | Path, *, every: str | None = None, hop_s: float | None = None,
    window_s: float | None = None, db_offset: float | None = None, top: int | None = 5, only: str | Sequence[str] = (),
    say: Callable[[str], None] = lambda text: None, **reading: Any,
) -> tuple[LevelLog, logs.LevelListener, logs.Wanted]:  # fmt: skip
    """Open a log for a model, check that they fit and settle what the table shall hold: arguments as in `sources`."""
    listener = model.level_listener(window_s)
    log = open_levels(path, **reading)
    chosen = logs.labels_of(only, model.labels) if isinstance(only, str) else tuple(only)
    period_s = None if every == "window" else logs.usual_every_s(log) if every is None else logs.seconds_of(every)
    wanted = logs.Wanted(period_s, hop_s, 0.0, top, chosen)
    logs.check(log.table, listener, wanted)
    _tell_columns(model, log, say, untimed=reading.get("time_column") == "")
    offset_db = settled_offset_db(model, log, db_offset, say)
    return log, listener, replace(wanted, offset_db=offset_db)


def _tell_columns(model: Model, log: LevelLog, say: Callable[[str], None], *, untimed: bool) -> None:
    """Tell which bands a log lacks and which the model does not listen to, and where no time was found or asked for."""
    table = log.table
    lacking = [f"{hz:g}" for hz, missing in zip(table.bands_hz, table.missing, strict=True) if missing]
    if lacking:
        many = "; so many that scores say little" if 3 * len(lacking) > len(table.bands_hz) else ""
        say(f"{len(lacking)} of {len(table.bands_hz)} bands are missing ({', '.join(lacking)} Hz), filled from their "
            f"neighbours{many}.")  # fmt: skip
    if not log.timed and table.ignored and not untimed:
        say(f"no column of time is known by its name, so rows follow each other; not used: "
            f"{', '.join(table.ignored[:10])}.  Another: --time-column.")  # fmt: skip
    if unheard := [f"{hz:g}" for hz, deaf in zip(table.bands_hz, model.unheard, strict=True) if deaf]:
        say(f"bands {', '.join(unheard)} Hz are not listened to: the training clips' sound ends at "
            f"{model.heard_to_hz:g} Hz.")  # fmt: skip


def levels(
    sound: str | Path, out: str | Path, *, interval: str = "fast", bands: str = "published", octaves: str = "1/3",
    start: datetime | None = None,
) -> int:  # fmt: skip
    """Write the third-octave (or octave) levels of a sound file as a level table, as a sensor would; return its rows.

    Args:
        sound: the file, of any length.
        out: CSV, TSV, Parquet, NPY or HDF5 by its extension.
        interval: ``"fast"`` (125 ms) or ``"slow"`` (1 s).
        bands: ``"published"`` or ``"iec61260"``, as in `ThirdOctave`.
        octaves: ``"1/3"`` (29 bands) or ``"1/1"`` (10).
        start: when the recording began; None: time counts from 0.
    """
    capture, timing = ThirdOctave(interval=interval, bands=bands, octaves=octaves).eval(), INTERVALS[interval]
    size, overlap = 60 * RATE_HZ, timing.frame - timing.hop
    made, held = list[NDArray[Any]](), np.empty(0, np.float32)
    with torch.inference_mode():
        for block in audio.blocks(sound, RATE_HZ, 60.0):
            held = np.concatenate([held, block])
            while len(held) >= size + overlap:
                made.append(capture(torch.from_numpy(held[None, : size + overlap]), RATE_HZ)[0].T.numpy())
                held = held[size:]
        if len(held) > overlap or not made:
            made.append(capture(torch.from_numpy(held[None]), RATE_HZ)[0].T.numpy())
    table = np.concatenate(made)
    write_levels(out, table, nominal_hz(octaves), 1.0 / timing.rate_hz, start=start)
    return len(table)
