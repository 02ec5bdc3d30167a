"""Every table of a README is what the report in results/ says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hearless.interfaces import HearlessError
from hearless.report import Report, Row
from hearless.statistics import Measure

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import tables


@pytest.mark.parametrize("page", tables.pages(), ids=lambda page: str(page.relative_to(tables.ROOT)))
def test_a_page_says_what_its_reports_say(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == tables.filled(page), "a report is newer than its page: make tables"


def test_every_recipe_folder_with_a_run_shows_a_report() -> None:
    shown = {page.parent.name for page in tables.pages()}
    assert {"low_rate", "time_frequency_enhancer", "spectral_transcoder"} <= shown


REPORT = Report(
    title="t", task="made up", columns=("accuracy", "loss"), units={"loss": "nats"},
    command="hearless x", commit="abcdef12", notes=("a: 3 runs of 2 s (mean).", "For all."),
    rows=(
        Row("a", {}, {"accuracy": Measure(0.5), "loss": Measure(1.0)}, published={"accuracy": 0.25}, source="paper 9"),
        Row("b", {}, {"accuracy": Measure(0.75), "loss": Measure(2.0)}),
    ),
)  # fmt: skip


def test_marks_are_filled_and_stay_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    REPORT.save(tmp_path / "results" / "x")
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    page.write_text("before\n<!-- first: results/x -->\nold\n<!-- /first -->\nafter\n", encoding="utf-8")
    page.write_text(tables.filled(page), encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- first: results/x -->\n| model | accuracy (%) | paper (other task): paper 9 |")
    assert "| a     |         50.0 |                        25.0 |" in text
    assert "old" not in text
    assert text.endswith("[The whole report](../results/x/report.md).\n<!-- /first -->\nafter\n")
    assert tables.filled(page) == text


def test_a_report_in_brief_leaves_out_what_is_said_of_single_rows() -> None:
    text = tables.brief(REPORT, "there.md")
    assert "For all." in text
    assert "3 runs" not in text
    assert text.endswith("Made by `hearless x` at commit abcdef1; environment: [report.md](there.md).\n")


def test_a_mark_without_a_report_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("<!-- report: results/none -->\n<!-- /report -->", encoding="utf-8")
    with pytest.raises(HearlessError, match=r"must be a folder with report\.json"):
        tables.filled(page)
