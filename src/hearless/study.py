"""Study: several recipes compared in one table, with statistics and the published numbers beside.

A row trains its recipe on every fold and seed.  A row with several ``options`` first chooses one of them per fold, on
that fold's own validation part and on the study's first seed, and trains only the chosen one on the other seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hearless.closest import closest
from hearless.interfaces import HearlessError
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe
from hearless.spec import Spec

PARAMETERS, TRAINED, MACS, MEMORY = "parameters", "trained parameters", "MACs", "peak memory"
COSTS = {PARAMETERS: "k", TRAINED: "k", MACS: "M", MEMORY: "MB"}
"""What a study may add of its recipes' costs (`hearless.costs`), with units."""

ALSO = ("fold", "class", "agreement", "entropy", "teaching_entropy", "ece_raw")
"""What a study may tell beside (`hearless.details`): of its comparisons the difference per fold and class and how often
both say the same, of its rows how sure they are and how rightly."""


@dataclass(frozen=True)
class Row:
    """One line of a study's table.

    Attributes:
        label: what the table calls it.
        condition: what sets it apart, by column (rate, method, bands …).
        options: the recipe, or the settings to choose among per fold.
        chosen_by: recipes in the same order whose validation decides the choice (default: the options' own).
        heard_through: another view to evaluate through (the raw condition), or None: the recipe's own.
        published: published values by source, such as ``{"MobileNetV2, paper 000": 0.485}``.
        published_more: published values of the table's further measures by name, such as ``{"kl": 0.0007}``.
        folds, seeds: narrower than the study's where a row was thinned, else None.
        chosen: which option each fold takes, where a search has decided already; a fold it leaves out is a hole.
        counted: further columns by the number of classes, such as what its network costs.
    """

    label: str
    condition: dict[str, str]
    options: tuple[Recipe, ...]
    chosen_by: tuple[Recipe, ...] = ()
    heard_through: PipelineSpec | None = None
    published: dict[str, float] = field(default_factory=dict)
    published_more: dict[str, float] = field(default_factory=dict)
    folds: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    chosen: Mapping[str, int] | None = None
    counted: Callable[[int], Mapping[str, str]] | None = None

    def __post_init__(self) -> None:
        if not self.options or (self.chosen_by and len(self.chosen_by) != len(self.options)):
            raise HearlessError(
                f"row {self.label!r} needs options, and chosen_by as many, got {len(self.options)} and "
                f"{len(self.chosen_by)}."
            )
        if wrong := sorted({*(self.chosen or {}).values()} - {*range(len(self.options))}):
            raise HearlessError(f"row {self.label!r} has {len(self.options)} options, chosen names number {wrong[0]}.")

    def of(self, n_classes: int) -> Row:
        """Return the row with the columns that depend on the number of classes."""
        if self.counted is None:
            return self
        return replace(self, condition={**self.condition, **self.counted(n_classes)}, counted=None)

    @property
    def judges(self) -> tuple[Recipe, ...]:
        """The recipes whose validation decides."""
        return self.chosen_by or self.options


@dataclass(frozen=True)
class Study:
    """A table: rows, which folds and seeds, and which rows are tested against which.

    ``compare`` pairs labels ``(a, b)``: is a better than b?  ``folds=()`` means all of the data set's.  ``judged_on``
    "validation" keeps a study inside the training folds: for choices that the test fold must not see.
    ``training_time`` adds what a run took as a column, ``costs`` any of `COSTS`, ``also`` any of `ALSO`.
    """

    name: str
    title: str
    task: str
    rows: tuple[Row, ...]
    seeds: tuple[int, ...] = (0,)
    folds: tuple[str, ...] = ()
    compare: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    judged_on: str = "test"
    training_time: bool = False
    costs: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.judged_on not in ("test", "validation"):
            raise HearlessError(f"judged_on must be test or validation, got {self.judged_on!r}.")
        if not self.rows or not self.seeds:
            raise HearlessError(
                f"study {self.name!r} needs at least one row and one seed, got {len(self.rows)} and {len(self.seeds)}."
            )
        if unknown := set(self.costs) - set(COSTS):
            raise HearlessError(f"costs must be among {', '.join(COSTS)}, got {', '.join(sorted(unknown))}.")
        if other := set(self.also) - set(ALSO):
            raise HearlessError(f"also must be among {', '.join(ALSO)}, got {', '.join(sorted(other))}.")
        labels = [row.label for row in self.rows]
        if len(set(labels)) != len(labels):
            raise HearlessError(f"row labels must differ, got {labels}.")
        unknown = {label for pair in self.compare for label in pair} - set(labels)
        if unknown:
            raise HearlessError(f"compare names rows that do not exist: {', '.join(sorted(unknown))}.")

    def only(self, labels: Sequence[str]) -> Study:
        """Return the study of some rows, in its own order, with the tests between these; its notes say so.

        Raises:
            HearlessError: a label that no row has.
        """
        known = [row.label for row in self.rows]
        if missing := [label for label in labels if label not in known]:
            guess = "".join(f" (did you mean {near!r}?)" for label in missing if (near := closest(label, known)))
            raise HearlessError(
                f"rows of {self.name} are {'; '.join(known)}; got {'; '.join(missing)}{guess}."
            )  # fmt: skip
        rows = tuple(row for row in self.rows if row.label in labels)
        pairs = tuple(pair for pair in self.compare if all(label in labels for label in pair))
        note = f"{len(rows)} of the study's {len(known)} rows were asked for."
        return replace(self, rows=rows, compare=pairs, notes=(*self.notes, note))


@dataclass(frozen=True)
class Question:
    """What an analysis is asked: a study whose table is no table of trainings (power, privacy, theory …).

    Its file has ``analyse(lab, question) -> Report`` in the place of ``study``.  What it takes by ``--set`` for itself
    it names in ``WORDS``; the rest are its settings'.  ``DATA = None`` says that it can do without a data set,
    ``MAPPING`` how it reads a user's table.

    Attributes:
        each: settings, one a backbone; none where no data set is wanted.
        data: the data set that was named, or None where the default or none is meant.
        rates, folds, seeds: as in `Study`; empty: the analysis' own.
        task: which data in words; empty without any.
        command: what was typed.
        place: the folder of its table, where its pictures go.
        words: its own settings, as values or as text.
    """

    each: tuple[Any, ...] = ()
    data: Spec | None = None
    rates: tuple[int, ...] = ()
    folds: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    task: str = ""
    command: str = ""
    place: Path = Path()
    words: Mapping[str, Any] = field(default_factory=dict)
