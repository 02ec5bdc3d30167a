"""Study: several recipes compared in one table, with statistics and the published numbers beside.

A row trains its recipe on every fold and seed.  A row with several ``options`` first chooses one of them per fold, on
that fold's own validation part and on the study's first seed, and trains only the chosen one on the other seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hearless.interfaces import HearlessError
from hearless.pipeline import PipelineSpec
from hearless.recipe import Recipe


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
        folds, seeds: narrower than the study's where a row was thinned, else None.
    """

    label: str
    condition: dict[str, str]
    options: tuple[Recipe, ...]
    chosen_by: tuple[Recipe, ...] = ()
    heard_through: PipelineSpec | None = None
    published: dict[str, float] = field(default_factory=dict)
    folds: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not self.options or (self.chosen_by and len(self.chosen_by) != len(self.options)):
            raise HearlessError(
                f"row {self.label!r} needs options, and chosen_by as many, got {len(self.options)} and "
                f"{len(self.chosen_by)}."
            )

    @property
    def judges(self) -> tuple[Recipe, ...]:
        """The recipes whose validation decides."""
        return self.chosen_by or self.options


@dataclass(frozen=True)
class Study:
    """A table: rows, which folds and seeds, and which rows are tested against which.

    ``compare`` pairs labels ``(a, b)``: is a better than b?  ``folds=()`` means all of the data set's.  ``judged_on``
    "validation" keeps a study inside the training folds: for choices that the test fold must not see.
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

    def __post_init__(self) -> None:
        if self.judged_on not in ("test", "validation"):
            raise HearlessError(f"judged_on must be test or validation, got {self.judged_on!r}.")
        if not self.rows or not self.seeds:
            raise HearlessError(
                f"study {self.name!r} needs at least one row and one seed, got {len(self.rows)} and {len(self.seeds)}."
            )
        labels = [row.label for row in self.rows]
        if len(set(labels)) != len(labels):
            raise HearlessError(f"row labels must differ, got {labels}.")
        unknown = {label for pair in self.compare for label in pair} - set(labels)
        if unknown:
            raise HearlessError(f"compare names rows that do not exist: {', '.join(sorted(unknown))}.")
