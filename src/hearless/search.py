"""A search for good settings with Optuna, kept in a storage that several machines may share.

Trials are asked for and told one by one, so a killed search goes on where it stopped, and machines that name one
storage work on one search: each sees what the others found.  Suggestions come from a tree-structured Parzen estimator
(Bergstra et al. 2011) whose draws follow from ``seed`` and the trial's number alone.  Needs ``hearless[search]``.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hearless.interfaces import HearlessError

if TYPE_CHECKING:
    import optuna

STARTUP_TRIALS = 5
"""Trials drawn at random before the estimator takes over."""

Values = Mapping[str, float]
Score = Callable[[Values], float]
"""Train and say how good: the more the better.  A `HearlessError` marks the trial as failed; the search goes on."""


@dataclass(frozen=True)
class Range:
    """One setting that is searched.

    Attributes:
        name: what it is called.
        low, high: its ends, both within.
        step: values lie so far apart, from ``low`` on; None: they are rounded to three digits.
        log: draw its logarithm evenly.
    """

    name: str
    low: float
    high: float
    step: float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf or (self.log and self.low <= 0):
            raise HearlessError(
                f"{self.name}: a range needs finite low < high, above 0 where log, got {self.low} … {self.high}."
            )
        if self.step is not None and (self.log or not 0 < self.step <= self.high - self.low):
            raise HearlessError(f"{self.name}: step must lie within the range, and not beside log, got {self.step}.")

    def near(self, value: float) -> float:
        """Return a drawn value as it is tried: rounded, within the range."""
        return min(max(float(f"{value:.3g}"), self.low), self.high)


@dataclass(frozen=True)
class Tried:
    """A finished trial: its number, settings and score."""

    number: int
    values: Values
    score: float


def search(
    name: str, space: Sequence[Range], score: Score, *, trials: int, storage: str, seed: int = 0,
    first: Values | None = None, where: str = "", say: Callable[[str], None] = lambda text: None, at_once: int = 1,
    ready: Callable[[Sequence[Values]], None] = lambda points: None,
) -> tuple[Tried, ...]:  # fmt: skip
    """Search until ``trials`` have been made, here or elsewhere, and return the finished ones in order.

    Args:
        name: of the search; asking again by it goes on.
        space: what is searched.
        score: how good a point is.
        trials: how many in all; several machines may make one more each.
        storage: an Optuna storage URL, such as ``sqlite:///searches.sqlite3``.
        seed: of the draws.
        first: a point that is tried before any is drawn.
        where: names this machine's runs: a trial that was killed here is finished first.
        say: told each trial's values and score.
        at_once: how many points are drawn before the first of them is scored; each is drawn without the others' scores.
        ready: told the points that are scored next, so that what they need can be made side by side.

    Returns:
        The trials that were scored; none where all have failed.

    Raises:
        HearlessError: Optuna is missing, or the storage cannot be opened.
    """
    if trials < 1 or not space:
        raise HearlessError(f"a search needs a range and trials of at least 1, got {len(space)} and {trials}.")
    study = _study(name, storage)
    here = f"{socket.gethostname()}:{where}"
    left = [one for one in _states(study, "RUNNING") if one.user_attrs.get("where") == here]
    if first is not None and not study.trials:
        study.enqueue_trial(dict(first))

    def finish(asked: Mapping[int, Values | None]) -> None:
        ready([values for values in asked.values() if values is not None])
        for number, values in asked.items():
            _finish(study, number, values, score, say)

    if left:
        finish({one.number: _values(space, one.params) for one in left})
    while (wanted := trials - len(_states(study, "COMPLETE", "FAIL"))) > 0:
        finish(dict(_asked(study, space, seed, here) for _ in range(min(wanted, at_once))))
    return _scored(study, space)


def _study(name: str, storage: str) -> optuna.Study:
    """Open or make the search called ``name`` in a storage."""
    try:
        import optuna
    except ImportError as error:
        raise HearlessError("a search needs Optuna; pip install 'hearless[search]'.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    except Exception as error:  # a driver that is missing, a server that is not there: anything may come
        raise HearlessError(
            f"storage must be an Optuna storage URL that opens, such as sqlite:///searches.sqlite3, got {storage!r}: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}."
        ) from error


def _asked(
    study: optuna.Study, space: Sequence[Range], seed: int, here: str
) -> tuple[int, dict[str, float] | None]:  # fmt: skip
    """Return a new trial's number and point; the draws come from seed and number, so that no two machines' agree."""
    import optuna

    trial = study.ask()
    trial.set_user_attr("where", here)
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP_TRIALS, seed=1_000_003 * seed + trial.number)
    for one in space:
        trial.suggest_float(one.name, one.low, one.high, step=one.step, log=one.log)
    return trial.number, _values(space, trial.params)


def _values(space: Sequence[Range], params: Mapping[str, Any]) -> dict[str, float] | None:
    """Return a point as it is tried; None where a crash left it half drawn."""
    return {r.name: r.near(params[r.name]) for r in space} if all(r.name in params for r in space) else None


def _finish(study: optuna.Study, number: int, values: Values | None, score: Score, say: Callable[[str], None]) -> None:
    """Score a point and tell the storage, unless another process of this machine has done so meanwhile."""
    import optuna

    failed = optuna.trial.TrialState.FAIL
    if values is None:
        study.tell(number, state=failed, skip_if_finished=True)
        return
    said = ", ".join(f"{name} {value:g}" for name, value in values.items())
    try:
        found = score(values)
    except HearlessError as error:
        say(f"trial {number + 1}: {said}: failed: {error}")
        study.tell(number, state=failed, skip_if_finished=True)
        return
    say(f"trial {number + 1}: {said}: {found:.3f}")
    study.tell(number, found, skip_if_finished=True)


def _states(study: optuna.Study, *names: str) -> list[optuna.trial.FrozenTrial]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in names]


def _scored(study: optuna.Study, space: Sequence[Range]) -> tuple[Tried, ...]:
    finished = ((one, _values(space, one.params)) for one in _states(study, "COMPLETE"))
    return tuple(Tried(one.number, values, one.value) for one, values in finished if values and one.value is not None)
