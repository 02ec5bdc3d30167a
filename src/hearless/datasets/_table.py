"""What the data sets share: reading a delimited table, and one error that lists all that is wrong."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from hearless.interfaces import HearlessError

SHOWN = 20


def read_table(path: Path) -> tuple[tuple[str, ...], list[dict[str, str]], list[str]]:
    """Read a table of UTF-8 text whose first line names the columns; comma, semicolon or tab part them.

    Returns:
        The columns, the rows (values stripped) and what is wrong with the rows' shape.

    Raises:
        HearlessError: the file cannot be read as a table at all.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        header = text.split("\n", 1)[0]
        delimiter = max(",;\t", key=header.count)
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise HearlessError(f"{path} must be a table of UTF-8 text ({error}); export it as CSV.") from error
    columns = tuple(name.strip() for name in lines[0]) if lines else ()
    body = [(number, line) for number, line in enumerate(lines[1:], start=2) if any(value.strip() for value in line)]
    if not body or len(set(columns)) < len(columns):
        raise HearlessError(
            f"{path} must have a line of distinct column names and rows below, got columns "
            f"{', '.join(columns) or 'none'} and {len(body)} rows; export it again."
        )
    ragged = [
        f"row {number}: {len(line)} values for {len(columns)} columns"
        for number, line in body
        if len(line) != len(columns)
    ]
    rows = [dict(zip(columns, map(str.strip, line), strict=True)) for _, line in body if len(line) == len(columns)]
    return columns, rows, ragged


def refuse(where: Path, problems: Sequence[str], remedy: str) -> None:
    """Raise one error that lists all problems; do nothing where there are none."""
    if problems:
        shown = "\n".join(f"- {problem}" for problem in problems[:SHOWN])
        more = f"\n- … and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise HearlessError(f"{where} has {len(problems)} problem(s); {remedy}:\n{shown}{more}")


def duplicates(keys: Sequence[tuple[str, float]]) -> list[str]:
    """Describe every (path, start in s) that comes more than once."""
    seen: dict[tuple[str, float], int] = {}
    for key in keys:
        seen[key] = seen.get(key, 0) + 1
    return [
        f"{path} (start {start_s:g} s) is listed {count} times; list each clip once"
        for (path, start_s), count in seen.items()
        if count > 1
    ]
