"""``make tables``: write into each README what the reports in ``results/`` say.

Between ``<!-- report: FOLDER -->`` and ``<!-- /report -->`` stands the report of that study's folder in brief, between
``<!-- first: FOLDER -->`` and ``<!-- /first -->`` its first measure alone beside the published one.  A test holds every
README to them, so that no number is published that no run gave.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from hearless.report import Report, markdown_table, show
from hearless.statistics import Measure

ROOT = Path(__file__).resolve().parents[1]
MARKED = re.compile(r"<!-- (report|first): (\S+) -->\n.*?<!-- /\1 -->", re.DOTALL)


def pages() -> list[Path]:
    """Return every README and page of docs that holds marks."""
    found = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "src").rglob("README.md")]
    return [page for page in found if MARKED.search(page.read_text(encoding="utf-8"))]


def filled(page: Path) -> str:
    """Return a page's text with today's reports between its marks."""
    text = page.read_text(encoding="utf-8")
    return MARKED.sub(lambda mark: _block(page, mark[1], mark[2]), text)


def _block(page: Path, kind: str, folder: str) -> str:
    report = Report.load(ROOT / folder)
    whole = os.path.relpath(ROOT / folder / "report.md", page.parent)
    body = {"report": brief, "first": first}[kind](report, whole)
    return f"<!-- {kind}: {folder} -->\n{body}<!-- /{kind} -->"


def brief(report: Report, whole: str) -> str:
    """Return a report in brief, and where it stands whole."""
    told = ["per fold and class"] if any(row.per_fold or row.per_class for row in report.rows) else []
    told += ["the tests in words"] if report.tests else []
    made = f"Made by `{report.command}`" + (f" at commit {report.commit[:7]}" if report.commit else "")
    return f"{report.brief()}\n{made}; {', '.join([*told, 'environment'])}: [report.md]({whole}).\n"


def first(report: Report, whole: str) -> str:
    """Return a report's first measure alone, beside the published one."""
    metric = report.columns[0]
    unit = report.unit(metric)
    source = next((row.source for row in report.rows if row.source), None)
    head = [
        report.heading,
        f"{metric} ({unit})" if unit else metric,
        *([f"{report.published_heading}: {source}"] if source else []),
    ]
    rows = []
    for row in report.rows:
        number = (row.published or {}).get(metric)
        printed = "" if number is None else show(Measure(number), unit)
        rows.append([row.label, show(row.metrics.get(metric), unit), *([printed] if source else [])])
    return f"{markdown_table(head, rows, left=1)}\n\n[The whole report]({whole}).\n"


def main() -> None:
    """Fill in every page."""
    for page in pages():
        page.write_text(filled(page), encoding="utf-8")
        print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
