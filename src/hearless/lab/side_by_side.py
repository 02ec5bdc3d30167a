"""Runs side by side: those that a study lacks, made by several processes that share its folder.

A run begins once all runs that it starts from or learns from are there, with their weights where it needs these.  Each
process has its share of the cores and ends with the one that began it; what a killed one leaves resumes as any run
does.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from hearless.interfaces import HearlessError
from hearless.lab.named import heard_name, recipe_of, run_name, seed_of, trained
from hearless.lab.starting import has_weights
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe, recipe_from_json
from hearless.run import Run

if TYPE_CHECKING:
    from hearless.lab.lab import Lab
    from hearless.train import Tick

LOOK_S = 0.2
"""Seconds between two looks at what the processes say; and between two steps of one training that are told of."""

TOLD = 5
"""Runs after which it is told how many are over."""

LAST_WORDS_S = 2.0
"""Seconds that what was said last may take to arrive."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """A run to be made: a recipe on a fold with a seed."""

    recipe: Recipe
    fold: str
    seed: int

    def path(self, lab: Lab) -> Path:
        """Return the run's folder."""
        return lab.folder(self.recipe) / run_name(self.fold, self.seed)

    def before(self, lab: Lab) -> list[Task]:
        """Return the runs whose weights it needs; where that cannot be told, all that it names."""
        try:
            awaited = lab.awaited(self.recipe, self.fold, self.seed)
        except HearlessError:  # it will say so itself
            awaited = trained(self.recipe)
        return [Task(recipe_of(one), one.fold_beside(self.fold), seed_of(one, self.seed)) for one in awaited]


@dataclass(frozen=True)
class Hearing:
    """The clips of one side ("test", "validation", "training") that a run is to hear through a view."""

    task: Task
    view: PipelineSpec
    side: str

    def is_over(self, lab: Lab) -> bool:
        """Say whether its predictions are there."""
        return Run(self.task.path(lab)).predictions(heard_name(self.view, self.side)).is_file()


def make(lab: Lab, tasks: Sequence[Task]) -> None:
    """Make these runs and those before them, ``lab.jobs`` at a time; why one failed is kept in ``lab.failed``.

    Raises:
        HearlessError: a process was killed, for want of memory as a rule; what is finished stays.
    """
    waiting: dict[Path, Task] = {}
    needs: dict[Path, list[Path]] = {}
    for task in tasks:
        _plan(lab, task, waiting, needs)
    total, over = len(waiting), 0
    if total > 1:
        lab.say(f"{total} runs to train, {lab.jobs} side by side")
    with _pool(lab) as (pool, listen):
        under_way: dict[Future[None], Path] = {}
        while waiting or under_way:
            for path, task in list(waiting.items()):
                if why := next((lab.failed[one] for one in needs[path] if one in lab.failed), ""):
                    lab.failed[path] = why
                    del waiting[path]
                elif not any(one in waiting or one in under_way.values() for one in needs[path]):
                    under_way[pool.submit(_make, task.recipe.to_json(), task.fold, task.seed)] = path
                    del waiting[path]
            done, _ = wait(under_way, LOOK_S, FIRST_COMPLETED)
            listen()
            for future in done:
                _note(lab, under_way.pop(future), future)
                over += 1
                if over % TOLD == 0 and over < total:
                    lab.say(f"{over} of {total} runs are over")


def hear(lab: Lab, hearings: Sequence[Hearing]) -> None:
    """Have runs listen, ``lab.jobs`` at a time, as `Lab.heard_through` does; what fails there fails here in silence.

    Raises:
        HearlessError: a process was killed, as in `make`.
    """
    wanted = [one for one in dict.fromkeys(hearings) if not one.is_over(lab)]
    make(lab, [one.task for one in wanted])
    with _pool(lab) as (pool, listen):
        under_way = {
            pool.submit(_listen, task.recipe.to_json(), task.fold, task.seed, one.view.to_json(), one.side)
            for one in wanted
            if (task := one.task).path(lab) not in lab.failed
        }
        while under_way:
            done, under_way = wait(under_way, LOOK_S, FIRST_COMPLETED)
            listen()
            for future in done:
                with suppress(HearlessError):
                    future.result()


def _plan(lab: Lab, task: Task, waiting: dict[Path, Task], needs: dict[Path, list[Path]]) -> None:
    """Add a run that is not there, or has lost its weights, and what it needs, the earliest first."""
    path = task.path(lab)
    run = Run(path)
    if path in needs or path in lab.failed or (run.done and has_weights(run, task.recipe)):
        return
    before = task.before(lab)
    needs[path] = [one.path(lab) for one in before]
    for one in before:
        _plan(lab, one, waiting, needs)
    waiting[path] = task


def _note(lab: Lab, path: Path, future: Future[None]) -> None:
    try:
        future.result()
    except HearlessError as error:
        lab.failed[path] = str(error)


@contextmanager
def _pool(lab: Lab) -> Iterator[tuple[Executor, Callable[[], None]]]:
    """Yield the processes, and what passes on to the lab what they have said since the last call.

    A thread hears them: one that is killed amid a word would keep whoever listens waiting for the rest of it.
    """
    spawn = multiprocessing.get_context("spawn")  # a forked process could not use torch's threads
    said, heard = spawn.Queue(), SimpleQueue[tuple[Any, ...]]()
    said.cancel_join_thread()
    hears = threading.Thread(target=_hear, args=(said, heard), daemon=True)
    hears.start()

    def listen() -> None:
        while not heard.empty():
            kind, *words = heard.get()
            (lab.say if kind == "say" else lab.tick)(*words)

    start = (type(lab), {"runs": lab.runs, "root": lab.root, "torch_device": lab.torch_device}, said)
    with _share_of_cores(lab.jobs):
        pool = ProcessPoolExecutor(lab.jobs, mp_context=spawn, initializer=_begin, initargs=start)
        try:
            yield pool, listen
        except BrokenExecutor as error:
            raise HearlessError(
                f"jobs must leave each process the memory it needs: one of {lab.jobs} was killed; what is finished is "
                "kept, so run the same command again with fewer --jobs."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
            said.put(None)
            hears.join(LAST_WORDS_S)
    listen()


def _hear(said: multiprocessing.Queue[tuple[Any, ...] | None], heard: SimpleQueue[tuple[Any, ...]]) -> None:
    while (one := said.get()) is not None:
        heard.put(one)


@contextmanager
def _share_of_cores(jobs: int) -> Iterator[None]:
    """Give each process that begins meanwhile its share of the cores, unless the user has said how many threads."""
    share = max(1, (os.cpu_count() or 1) // jobs)
    new = {name: str(share) for name in THREADS if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]


_lab: Lab
"""Of a process that makes runs for another."""


def _begin(kind: type[Lab], where: dict[str, Any], said: multiprocessing.Queue[tuple[Any, ...]]) -> None:
    """Begin a process: its lab tells the one that began it what it does, at most every `LOOK_S` of each training."""
    global _lab
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    told_at: dict[str, float] = {}

    def tick(name: str, at: Tick) -> None:
        now = time.monotonic()
        if now - told_at.get(name, -LOOK_S) >= LOOK_S:
            told_at[name] = now
            said.put(("tick", name, at))

    _lab = kind(**where, say=lambda text: said.put(("say", text)), tick=tick)


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _make(recipe: dict[str, Any], fold: str, seed: int) -> None:
    _lab.with_weights(recipe_from_json(recipe), fold, seed)


def _listen(recipe: dict[str, Any], fold: str, seed: int, view: dict[str, Any], side: str) -> None:
    _lab.heard_through(recipe_from_json(recipe), fold, seed, PipelineSpec.from_json(view), side)
