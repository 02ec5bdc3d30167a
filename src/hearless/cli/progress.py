"""Progress bars on stderr, gone when the work is done; none where nobody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

    from hearless.lab import Lab
    from hearless.train import Tick

BAR = 10
"""Columns of a training's bar."""


@contextmanager
def watched_lab(runs: Path, root: Path, torch_device: str, jobs: int = 1) -> Iterator[Lab]:
    """Yield a lab that shows decoding and training as progress bars on stderr, one for each run side by side."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from hearless.lab import Lab

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(BAR), TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(compact=True), TextColumn("{task.fields[words]}"),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def task(name: str, total: int) -> TaskID:
            shown = tasks.pop(name, None)
            if shown is None:
                while len(tasks) >= jobs:  # the one that has not moved for longest is over
                    bars.remove_task(tasks.pop(next(iter(tasks))))
                shown = bars.add_task(name.rpartition("/")[2], total=total, words="")
            tasks[name] = shown
            return shown

        def tick(name: str, at: Tick) -> None:
            done = (at.epoch - 1) * at.n_clips + at.clips
            words = [f"epoch {at.epoch}/{at.n_epochs}", f"{at.clips_per_s:.0f} clips/s"]
            words += [f"loss {at.metrics['loss']:.3f}"]
            shown, told = fitting(name.rpartition("/")[2], words, console.width)
            bars.update(task(name, at.n_epochs * at.n_clips), completed=done, description=shown, words=told)

        def decoding(done: int, total: int) -> None:
            bars.update(task("decoding", total), completed=done)

        def say(text: str) -> None:
            console.print(text, markup=False, highlight=False, soft_wrap=True)

        yield Lab(runs, root, torch_device=torch_device, say=say, tick=tick, decoding=decoding, jobs=jobs)


def fitting(name: str, words: Sequence[str], width: int) -> tuple[str, str]:
    """Return what trains and the words behind its bar, in a terminal of so many columns.

    The first word stays, the others where there is room; of a name that is too long, fold and seed at its end stay.
    """
    room = width - BAR - len(" 100 % 12:34:56  ")
    told = [", ".join(words[:n]) for n in range(len(words), 0, -1)]
    fits = next((text for text in told if len(name) + len(text) <= room), told[-1])
    what, _, place = name.rpartition(" ")
    left = max(1, room - len(fits) - len(place) - 1)
    return (name if len(what) <= left else f"{what[: left - 1]}… {place}"), fits


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield what shows how many (rows of a log, files) are done, as a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.percentage:.1f} %"), BarColumn(30), TimeRemainingColumn(), TextColumn("{task.fields[words]}")
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("", total=None, words="")

        def done(row: int, total: int) -> None:
            speed = bars.tasks[0].speed or 0.0
            bars.update(bar, completed=row, total=total, words=f"{what} {row:,} of {total:,}, {speed:,.0f} {what}s/s")

        yield done
