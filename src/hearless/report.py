"""The evaluation table: what was measured, on what, how surely, and what a paper says of it.

A `Report` is data: rows of measures with intervals, published numbers beside ours, paired tests in words, and the
command, commit and environment that made it.  It is written as Markdown for people and as CSV and JSON for programs.
Values are fractions and shown as percent, unless ``units`` names another unit for a metric.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from hearless.interfaces import HearlessError
from hearless.statistics import Measure, Paired, cohens_h, holm, in_words

HOLE = "–"
SPREAD = "std_over_seeds"
"""The measure that rows of one seed lack."""
VERSION = 1
KINDS = ("fold", "device", "class")
"""What the first metric is broken down by."""
Plain: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True)
class Row:
    """One model under one condition.

    Attributes:
        label: what a reader calls it: "CSSD, 1 kHz".
        condition: what sets it apart, by column: ``{"rate_hz": 1000, "method": "cssd"}``.
        metrics: measures by metric name; a missing one is a hole in the table.
        per_class: a measure by class, of the report's first metric.
        per_fold: a measure by fold, of the report's first metric.
        per_device: a measure by recording device, of the report's first metric.
        published: a paper's numbers by metric name, as fractions, never claimed to be the same task.
        source: where the published numbers stand.
        hole: why the run is missing, where it is.
        runs: the folders of its runs, below that of all runs.
    """

    label: str
    condition: Mapping[str, Plain] = field(default_factory=dict)
    metrics: Mapping[str, Measure] = field(default_factory=dict)
    per_class: Mapping[str, Measure] = field(default_factory=dict)
    per_fold: Mapping[str, Measure] = field(default_factory=dict)
    published: Mapping[str, float] | None = None
    source: str = ""
    hole: str = ""
    per_device: Mapping[str, Measure] = field(default_factory=dict)
    runs: tuple[str, ...] = ()

    def part(self, kind: str) -> Mapping[str, Measure]:
        """Return the measures of one of `KINDS`."""
        found: Mapping[str, Measure] = getattr(self, f"per_{kind}")
        return found


@dataclass(frozen=True)
class Comparison:
    """A paired test of two rows and what it means in words.

    ``p_holm`` is adjusted for all comparisons of the table, ``p_mcnemar`` McNemar's exact p where there is one,
    ``effect`` Cohen's h where the values are shares.  Where a study asks for it: the share of clips that both say the
    same of (``agreement``), and the difference on each fold and class, with intervals of their own.
    """

    name_a: str
    name_b: str
    paired: Paired
    words: str
    p_holm: float | None = None
    p_mcnemar: float | None = None
    effect: float | None = None
    agreement: Measure | None = None
    per_fold: Mapping[str, Measure] = field(default_factory=dict)
    per_class: Mapping[str, Measure] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Whose difference it is."""
        return f"{self.name_a} − {self.name_b}"


def compared(
    pairs: Mapping[tuple[str, str], Paired],
    *,
    metric: str = "accuracy",
    p_mcnemar: Mapping[tuple[str, str], float] = MappingProxyType({}),
    doubts: Mapping[str, str] = MappingProxyType({}),
    once: Container[tuple[str, str]] = (),
) -> tuple[Comparison, ...]:
    """Return all comparisons of one table by the names of their two rows: Holm over them, each said in words.

    ``doubts`` are said of a row, by its name, wherever it is compared; pairs in ``once`` are of one training a fold.
    """
    if not pairs:
        return ()
    adjusted = holm([paired.p for paired in pairs.values()])
    return tuple(
        Comparison(
            name_a=names[0],
            name_b=names[1],
            paired=paired,
            words=in_words(
                paired, *names, metric=metric, p_adjusted=p if len(pairs) > 1 else None, n_tests=len(pairs),
                doubts=[doubts[name] for name in names if name in doubts], once=names in once,
            ),
            p_holm=p,
            p_mcnemar=p_mcnemar.get(names),
            effect=cohens_h(paired.value_a, paired.value_b) if metric == "accuracy" else None,
        )
        for (names, paired), p in zip(pairs.items(), adjusted, strict=True)
    )  # fmt: skip


@dataclass(frozen=True)
class Report:
    """An evaluation table.

    Attributes:
        title: one line.
        task: which data, what was reduced, which protocol: a sentence or two.
        columns: the metrics shown, in order; the first is the one of per class and per fold.
        rows: one a model and condition.
        tests: the paired tests.
        notes: sentences below the table.
        command: what to type to get this table again.
        commit: of the code, or None outside git.
        environment: versions by name.
        seconds_per_run: mean wall-clock of one training, or None.
        seeds: the seeds trained.
        units: unit by metric name where it is not percent (``{"log_loss": "nats"}``).
        published_heading: heading of the papers' numbers; says that the task is another.
        heading: of the first column: what a row is.
    """

    title: str
    task: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    tests: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()
    command: str = ""
    commit: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds_per_run: float | None = None
    seeds: tuple[int, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    published_heading: str = "paper (other task)"
    heading: str = "model"

    def __post_init__(self) -> None:
        if not self.title or not self.columns or not self.rows:
            raise HearlessError(f"report {self.title!r} needs a title, a column and a row; evaluate something first.")
        labels = [row.label for row in self.rows]
        if len(set(labels)) < len(labels) or len(set(self.columns)) < len(self.columns):
            raise HearlessError(f"report {self.title!r} must not name a row or column twice, got {labels}.")
        for row in self.rows:
            self._check(row)

    def _check(self, row: Row) -> None:
        """Refuse conditions that are not plain, and percentages where fractions belong."""
        for name, condition in row.condition.items():
            if not isinstance(condition, (str, int, float, bool, type(None))):
                raise HearlessError(f"row {row.label!r}: condition {name} must be a plain value, got {condition!r}.")
        values = {name: measure.value for name, measure in row.metrics.items()} | dict(row.published or {})
        wrong = {name: value for name, value in values.items() if self.unit(name) == "%" and not _is_share(value)}
        if wrong:
            raise HearlessError(
                f"row {row.label!r}: percent metrics must be fractions in -1 … 1, got {wrong}; divide by 100 "
                "or name another unit in `units`."
            )

    def unit(self, metric: str) -> str:
        """Return a metric's unit, ``%`` where none is named."""
        return self.units.get(metric, "%")

    @property
    def conditions(self) -> tuple[str, ...]:
        """The condition columns, in order of appearance."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.condition))

    def to_markdown(self) -> str:
        """Return the table, its tests and its provenance as Markdown."""
        parts = [f"# {self.title}", self.task, self.table(), _bullets(self.remarks())]
        parts += [*self._comparisons(), *self._gains("fold"), *self._gains("class")]
        for kind in KINDS:
            parts += self._breakdown(kind)
        parts += [*self._folders(), *self._provenance()]
        return "\n\n".join(part for part in parts if part) + "\n"

    def brief(self) -> str:
        """Return the table, what holds for all rows and the paired tests as Markdown; the rest stands elsewhere."""
        of_rows = tuple(f"{row.label}: " for row in self.rows)
        said = [line for line in self.remarks() if not line.startswith(of_rows)]
        tests = markdown_table(*self.comparisons(), left=1) if self.tests else ""
        return "\n\n".join(part for part in (self.task, self.table(), _bullets(said), tests) if part) + "\n"

    def header(self) -> list[str]:
        """Return the column headings of the table that people read."""
        published = self._published()
        head = [self.heading, *self.conditions]
        for metric in self.columns:
            head.append(f"{metric} ({self.unit(metric)})" if self.unit(metric) else metric)
            if metric in published:
                head.append(self.published_heading + (f": {metric}" if len(published) > 1 else ""))
        return head

    def cells(self) -> list[list[str]]:
        """Return the rows of the table that people read, one text per column of `header`."""
        return [self._cells(row) for row in self.rows]

    def table(self) -> str:
        """Return the main table alone as Markdown."""
        return markdown_table(self.header(), self.cells(), left=1)

    def _cells(self, row: Row) -> list[str]:
        cells = [row.label, *(_text(row.condition.get(name)) for name in self.conditions)]
        for metric in self.columns:
            cells.append(show(row.metrics.get(metric), self.unit(metric)))
            if metric in self._published():
                number = (row.published or {}).get(metric)
                cells.append("" if number is None else show(Measure(number), self.unit(metric)))
        return cells

    def _published(self) -> list[str]:
        """Return the shown metrics for which some row has a published number."""
        return [name for name in self.columns if any(name in (row.published or {}) for row in self.rows)]

    def remarks(self) -> list[str]:
        """Return the holes, the sources of published numbers and the notes, a sentence each."""
        lines = [f"{HOLE} {row.label}: missing ({why})." for row in self.rows if (why := self._why_missing(row))]
        if SPREAD in self.columns and (once := [r.label for r in self.rows if r.metrics and SPREAD not in r.metrics]):
            lines.append(f"{HOLE} one seed only: {', '.join(once)}.")
        if SPREAD in self.columns and len(self.seeds) > 1:
            lines.append(f"{SPREAD}: of {len(self.seeds)} seeds, n - 1.")
        sources = dict.fromkeys(row.source for row in self.rows if row.source)
        lines += [f"{self.published_heading}: {source}." for source in sources]
        if any(not math.isnan(m.low) for row in self.rows for m in row.metrics.values()):
            lines.append("In brackets: 95 % intervals from resampled source recordings.")
        return [*lines, *self.notes]

    def _why_missing(self, row: Row) -> str:
        """Return why a row has holes, or nothing where it has none."""
        missing = [name for name in self.columns if name != SPREAD and show(row.metrics.get(name)) == HOLE]
        return row.hole or (f"{', '.join(missing)} not measured" if missing else "")

    def comparisons(self) -> tuple[list[str], list[list[str]]]:
        """Return the headings and the rows of the paired tests."""
        head = ["comparison", "difference (points)", "p", "p (Holm)", "p (McNemar)", "Cohen's h"]
        rows = [
            [t.name, _points(t.paired), *map(_p, (t.paired.p, t.p_holm, t.p_mcnemar)), _h(t.effect)] for t in self.tests
        ]
        if any(t.agreement for t in self.tests):
            head = [*head, "same answer (%)"]
            rows = [[*row, show(t.agreement)] for row, t in zip(rows, self.tests, strict=True)]
        return head, rows

    def gains(self, kind: str) -> tuple[list[str], list[list[str]]]:
        """Return headings and rows of the tested differences per fold or class, a column a comparison."""
        parts = {t.name: t.per_fold if kind == "fold" else t.per_class for t in self.tests}
        parts = {name: part for name, part in parts.items() if part}
        keys = dict.fromkeys(key for part in parts.values() for key in part)
        return [kind, *parts], [[key, *(show(part.get(key)) for part in parts.values())] for key in keys]

    def _gains(self, kind: str) -> list[str]:
        head, rows = self.gains(kind)
        return [f"## Difference per {kind} (points)", markdown_table(head, rows, left=1)] if rows else []

    def _comparisons(self) -> list[str]:
        if not self.tests:
            return []
        return ["## Paired tests", markdown_table(*self.comparisons(), left=1), _bullets(t.words for t in self.tests)]

    def breakdown(self, kind: str) -> tuple[list[str], list[list[str]]]:
        """Return headings and rows of the first metric per fold, device or class, a column a row of the report."""
        parts = {row.label: row.part(kind) for row in self.rows}
        parts = {label: part for label, part in parts.items() if part}
        names = dict.fromkeys(name for part in parts.values() for name in part)
        unit = self.unit(self.columns[0])
        return [kind, *parts], [[name, *(show(part.get(name), unit) for part in parts.values())] for name in names]

    def _breakdown(self, kind: str) -> list[str]:
        head, rows = self.breakdown(kind)
        return [f"## {self.columns[0]} per {kind}", markdown_table(head, rows, left=1)] if rows else []

    def _folders(self) -> list[str]:
        """Return which recipes' folders hold the runs of each row."""
        held = {row.label: dict.fromkeys(one.partition("/")[0] for one in row.runs) for row in self.rows if row.runs}
        lines = [f"{label}: {', '.join(f'`{folder}`' for folder in folders)}" for label, folders in held.items()]
        return ["## Runs", _bullets(lines)] if lines else []

    def provenance(self) -> dict[str, str]:
        """Return what made the report, by name: command, commit, seeds, seconds a run, environment."""
        seconds = None if self.seconds_per_run is None else f"{self.seconds_per_run:.0f}"
        facts = {
            "command": self.command or None,
            "commit": self.commit,
            "seeds": ", ".join(map(str, self.seeds)) or None,
            "seconds a run": seconds,
            "environment": ", ".join(f"{name} {value}" for name, value in self.environment.items()) or None,
        }
        return {name: value for name, value in facts.items() if value is not None}

    def _provenance(self) -> list[str]:
        facts = self.provenance()
        lines = [f"{name}: {f'`{value}`' if name == 'command' else value}" for name, value in facts.items()]
        return ["## Made by", _bullets(lines)] if lines else []

    def to_csv(self) -> str:
        """Return one line a row: conditions, then value, low, high, n and published number of every metric."""
        metrics = tuple(dict.fromkeys([*self.columns, *(name for row in self.rows for name in row.metrics)]))
        broken = [(kind, name) for kind in KINDS for name in dict.fromkeys(n for r in self.rows for n in r.part(kind))]
        head = ["label", *self.conditions]
        head += [name + end for name in metrics for end in ("", "_low", "_high", "_n", "_published")]
        head += [*(f"{kind}:{name}" for kind, name in broken), "source", "hole"]
        lines = [head]
        for row in self.rows:
            line = [row.label, *(_text(row.condition.get(name)) for name in self.conditions)]
            for name in metrics:
                line += [*_numbers(row.metrics.get(name)), _exact((row.published or {}).get(name))]
            line += [_numbers(row.part(kind).get(name))[0] for kind, name in broken]
            lines.append([*line, row.source, row.hole])
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows(lines)
        return buffer.getvalue()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data; NaN becomes null."""
        plain: dict[str, Any] = {"hearless_report": VERSION, **_plain(self)}
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        """Undo `to_json`.

        Raises:
            HearlessError: the data is no report, or one of a newer hearless.
        """
        found = data.get("hearless_report") if isinstance(data, Mapping) else None
        if found != VERSION:
            raise HearlessError(f"a report's JSON must say hearless_report: {VERSION}, got {found!r}; is it a report?")
        try:
            return cls(**_fields(data))
        except (KeyError, TypeError, AttributeError) as error:
            raise HearlessError(f"report.json is damaged: {error}; make it again by its command.") from error

    def save(self, folder: Path) -> Path:
        """Write report.md, report.csv and report.json into ``folder`` (made if missing), each whole or not at all."""
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        for name, content in (("report.json", text), ("report.csv", self.to_csv()), ("report.md", self.to_markdown())):
            _write(folder / name, content)
        return folder

    @classmethod
    def load(cls, folder: Path) -> Report:
        """Read the report that `save` wrote."""
        path = folder / "report.json"
        if not path.is_file():
            raise HearlessError(f"a table must be a folder with report.json, as hearless study writes, got {folder}.")
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, json.JSONDecodeError) as error:
            raise HearlessError(f"{path} must be a report's JSON: {error}; make it again by its command.") from error


def show(measure: Measure | None, unit: str = "%") -> str:
    """Return a measure as people read it: ``66.2 [61.0, 71.1]``; a hole where there is none."""
    if measure is None or math.isnan(measure.value):
        return HOLE
    if math.isnan(measure.low) or math.isnan(measure.high):
        return _figure(measure.value, unit)
    return (
        f"{_figure(measure.value, unit)} [{_figure(measure.low, unit)}, {_figure(measure.high, unit)}]"
    )  # fmt: skip


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """Return a Markdown table padded so that it also reads as plain text; the first ``left`` columns align left."""
    lines = [[_cell(cell) for cell in line] for line in (head, *rows)]
    wide = [max(3, *(len(line[i]) for line in lines)) for i in range(len(head))]
    rule = [":" + "-" * (w - 1) if i < left else "-" * (w - 1) + ":" for i, w in enumerate(wide)]
    padded = [[c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(line, wide, strict=True))]
              for line in lines]  # fmt: skip
    return "\n".join("| " + " | ".join(line) + " |" for line in (padded[0], rule, *padded[1:]))


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _figure(value: float, unit: str) -> str:
    return f"{100 * value:.1f}" if unit == "%" else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _points(paired: Paired) -> str:
    return f"{100 * paired.difference:+.1f} [{100 * paired.low:+.1f}, {100 * paired.high:+.1f}]"


def _p(value: float | None) -> str:
    return HOLE if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _h(effect: float | None) -> str:
    return HOLE if effect is None else f"{effect:+.2f}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _text(value: Plain) -> str:
    return "" if value is None else str(value)


def _exact(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))


def _numbers(measure: Measure | None) -> list[str]:
    if measure is None:
        return ["", "", "", ""]
    return [_exact(measure.value), _exact(measure.low), _exact(measure.high), str(measure.n)]


def _is_share(value: float) -> bool:
    return math.isnan(value) or -1 <= value <= 1


def _plain(value: Any) -> Any:
    """Return JSON-ready data of nested dataclasses, mappings and sequences, NaN as None."""
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _measures(data: Mapping[str, Any]) -> dict[str, Measure]:
    return {name: _measure(**measure) for name, measure in data.items()}


def _measure(value: float | None, low: float | None, high: float | None, n: int) -> Measure:
    known = [math.nan if number is None else number for number in (value, low, high)]
    return Measure(known[0], known[1], known[2], n)


def _fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the constructor arguments of a report from its JSON."""
    early: dict[str, Any] = {"per_device": {}, "runs": ()}  # what reports of early versions lack
    kinds = ("metrics", *(f"per_{kind}" for kind in KINDS))
    told: list[dict[str, Any]] = [{**early, **row} for row in data["rows"]]
    rows = tuple(
        Row(**{**row, **{kind: _measures(row[kind]) for kind in kinds}, "runs": tuple(row["runs"])}) for row in told
    )
    tests = tuple(_comparison(test) for test in data["tests"])
    lists = {name: tuple(data[name]) for name in ("columns", "notes", "seeds")}
    rest = {key: value for key, value in data.items() if key != "hearless_report"}
    return {**rest, **lists, "rows": rows, "tests": tests}


def _comparison(data: Mapping[str, Any]) -> Comparison:
    agreement = data.get("agreement")
    read = {kind: _measures(data.get(kind, {})) for kind in ("per_fold", "per_class")}
    told = {"agreement": _measure(**agreement) if agreement else None, "paired": _paired(data["paired"])}
    return Comparison(**{**data, **read, **told})


def _paired(data: Mapping[str, Any]) -> Paired:
    return Paired(**{**data, "per_seed": tuple(data.get("per_seed", ()))})


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise HearlessError(f"{path} could not be written: {error}; free some space or name another folder.") from error
