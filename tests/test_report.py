from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from markdown_it import MarkdownIt

from hearless import provenance, report
from hearless.interfaces import HearlessError
from hearless.report import Comparison, Report, Row
from hearless.statistics import Measure, Paired

PAIRED = Paired(0.023, -0.005, 0.051, 0.03, 0.0146, 0.662, 0.639, 840, 412, (0.011, 0.035))


def example(**changes: Any) -> Report:
    """A report with everything in it: a hole, NaN, a published number, a metric that is no percentage."""
    upper = Row(
        "16 kHz",
        MappingProxyType({"rate_hz": 16_000, "cropped": False}),
        {"accuracy": Measure(0.8123, 0.78, 0.84, 840), "log_loss": Measure(0.7012, 0.65, 0.75, 840)},
        per_class={"dog": Measure(0.9, n=40), "rain": Measure(math.nan)},
        per_fold={"1": Measure(0.8, n=168), "2": Measure(0.825, n=168)},
        published={"accuracy": 0.9},
        source="Table 1, ESC-50, 50 classes",
    )
    cssd = Row(
        "CSSD | 1 kHz, α = 0.5", {"rate_hz": 1000, "method": "cssd"}, {"accuracy": Measure(0.662, 0.61, 0.711, 840)}
    )
    failed = Row("BASD", {"rate_hz": 1000}, hole="fold 3 stopped")
    fields: dict[str, Any] = {
        "title": "What 1 kHz costs",
        "task": "ESC-50 subset, 21 of 50 classes.",
        "columns": ("accuracy", "log_loss"),
        "rows": (upper, cssd, failed),
        "tests": report.compared({("CSSD", "fine-tuned"): PAIRED, ("CSSD", "raw"): PAIRED}),
        "notes": ("Two seeds.",),
        "command": "hearless study low_rate/table1",
        "commit": "abc123",
        "environment": {"python": "3.12", "numpy": "2.0"},
        "seconds_per_run": 61.6,
        "seeds": (0, 1),
        "units": {"log_loss": "nats"},
    }
    return Report(**{**fields, **changes})


def tables(markdown: str) -> list[list[list[str]]]:
    """Parse a document's tables as a Markdown reader does: table, row, cell."""
    found: list[list[list[str]]] = []
    inside = False
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        if token.type == "table_open":
            found.append([])
        if token.type == "tr_open":
            found[-1].append([])
        if token.type in ("th_open", "td_open"):
            inside = True
        if token.type == "inline" and inside:
            found[-1][-1].append(token.content)
            inside = False
    return found


def test_the_table_reads_as_a_person_expects() -> None:
    main = tables(example().to_markdown())[0]
    assert main[0] == [
        "model", "rate_hz", "cropped", "method", "accuracy (%)", "paper (other task)", "log_loss (nats)",
    ]  # fmt: skip
    assert main[1] == ["16 kHz", "16000", "False", "", "81.2 [78.0, 84.0]", "90.0", "0.701 [0.65, 0.75]"]
    assert main[2] == ["CSSD | 1 kHz, α = 0.5", "1000", "", "cssd", "66.2 [61.0, 71.1]", "", "–"]
    assert main[3] == ["BASD", "1000", "", "", "–", "", "–"]


def test_columns_line_up_as_plain_text() -> None:
    lines = [line for line in example().table().splitlines() if "CSSD" not in line]
    assert len({len(line) for line in lines}) == 1
    assert len({tuple(m.start() for m in re.finditer(r"\|", line)) for line in lines}) == 1


def test_holes_say_why_and_papers_say_where() -> None:
    text = example().to_markdown()
    assert "- – BASD: missing (fold 3 stopped)." in text
    assert "- – CSSD | 1 kHz, α = 0.5: missing (log_loss not measured)." in text
    assert "- paper (other task): Table 1, ESC-50, 50 classes." in text
    assert "- Two seeds." in text


def test_a_row_of_one_seed_is_named_once() -> None:
    accuracy = Measure(0.5, 0.4, 0.6, 10)
    rows = (
        Row("twice", {}, {"accuracy": accuracy, "std_over_seeds": Measure(0.01)}),
        Row("once", {}, {"accuracy": accuracy}),
        Row("never", {}, hole="stopped"),
    )
    text = example(rows=rows, columns=("accuracy", "std_over_seeds"), tests=()).to_markdown()
    assert "- – one seed only: once." in text
    assert "once: missing" not in text


def test_two_published_metrics_are_told_apart() -> None:
    row = Row(
        "a", {}, {"accuracy": Measure(0.5), "macro F1": Measure(0.4)}, published={"accuracy": 0.6, "macro F1": 0.5}
    )
    made = Report("t", "", ("accuracy", "macro F1"), (row,), published_heading="their Table 2")
    assert made.header() == [
        "model", "accuracy (%)", "their Table 2: accuracy", "macro F1 (%)", "their Table 2: macro F1",
    ]  # fmt: skip
    assert made.cells() == [["a", "50.0", "60.0", "40.0", "50.0"]]


def test_tests_folds_classes_and_provenance_follow() -> None:
    text = example().to_markdown()
    _, paired, folds, classes = tables(text)
    assert paired[1] == ["CSSD − fine-tuned", "+2.3 [-0.5, +5.1]", "0.030", "0.060", "–", "+0.05"]
    assert folds[1:] == [["1", "80.0"], ["2", "82.5"]]
    assert classes[1:] == [["dog", "90.0"], ["rain", "–"]]
    assert "- CSSD against fine-tuned on 840 clips of 412 recordings: accuracy +2.3 points" in text
    for line in ("- command: `hearless study low_rate/table1`", "- commit: abc123", "- seeds: 0, 1",
                 "- seconds a run: 62", "- environment: python 3.12, numpy 2.0"):  # fmt: skip
        assert line in text


def test_small_p_values_are_not_written_as_zero() -> None:
    sure = dataclasses.replace(PAIRED, p=0.0002)
    made = example(tests=report.compared({("a", "b"): sure}))
    assert tables(made.to_markdown())[1][1][2] == "< 0.001"


def test_compared_corrects_for_the_whole_table() -> None:
    first, second = report.compared(
        {("a", "b"): PAIRED, ("a", "c"): dataclasses.replace(PAIRED, p=0.5)}, p_mcnemar={("a", "c"): 0.4}
    )
    assert (first.p_holm, second.p_holm) == (0.06, 0.5)
    assert (first.p_mcnemar, second.p_mcnemar) == (None, 0.4)
    assert "after Holm" in first.words
    assert first.effect == pytest.approx(0.0481, abs=1e-3)
    (alone,) = report.compared({("a", "b"): PAIRED}, metric="macro F1")
    assert (alone.p_holm, alone.effect) == (0.03, None)
    assert "after Holm" not in alone.words
    assert report.compared({}) == ()


def test_json_round_trip_keeps_everything() -> None:
    made = example()
    text = json.dumps(made.to_json(), allow_nan=False)
    again = Report.from_json(json.loads(text))
    assert again == made
    assert again.to_json() == made.to_json()
    assert isinstance(again.tests[0], Comparison)
    assert isinstance(again.rows[0].metrics["accuracy"], Measure)
    assert math.isnan(again.rows[0].per_class["rain"].value)


def test_csv_is_read_by_the_csv_module() -> None:
    rows = list(csv.DictReader(io.StringIO(example().to_csv())))
    assert [row["label"] for row in rows] == ["16 kHz", "CSSD | 1 kHz, α = 0.5", "BASD"]
    assert float(rows[0]["accuracy"]) == 0.8123
    assert (rows[0]["accuracy_low"], rows[0]["accuracy_n"], rows[0]["accuracy_published"]) == ("0.78", "840", "0.9")
    assert (rows[0]["fold:2"], rows[0]["class:dog"], rows[0]["class:rain"]) == ("0.825", "0.9", "")
    assert (rows[2]["accuracy"], rows[2]["accuracy_n"], rows[2]["hole"]) == ("", "", "fold 3 stopped")


def test_save_writes_all_three_whole_and_load_reads_it(tmp_path: Path) -> None:
    made = example()
    folder = made.save(tmp_path / "new" / "folder")
    assert sorted(path.name for path in folder.iterdir()) == ["report.csv", "report.json", "report.md"]
    assert (folder / "report.md").read_text(encoding="utf-8") == made.to_markdown()
    assert Report.load(folder) == made


def test_a_full_disk_leaves_the_old_report_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example(title="old").save(tmp_path)

    def full(self: Path, text: str, **options: Any) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(HearlessError, match=r"could not be written.*No space left"):
        example(title="new").save(tmp_path)
    assert Report.load(tmp_path).title == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.csv", "report.json", "report.md"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": ()}, "a row"),
        ({"columns": ()}, "a column"),
        ({"title": ""}, "a title"),
        ({"rows": (Row("a"), Row("a"))}, "twice"),
        ({"columns": ("accuracy", "accuracy")}, "twice"),
        ({"rows": (Row("a", {}, {"accuracy": Measure(66.2)}),)}, "divide by 100"),
        ({"rows": (Row("a", {}, {}, published={"accuracy": 81.3}),)}, "divide by 100"),
        ({"rows": (Row("a", {"rate_hz": [1000]}),)}, "plain"),  # type: ignore[dict-item]
    ],
)
def test_wrong_reports_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(HearlessError, match=message):
        example(**changes)


def test_wrong_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match="is it a report"):
        Report.from_json({"title": "x"})
    with pytest.raises(HearlessError, match="is it a report"):
        Report.from_json({**example().to_json(), "hearless_report": 99})
    damaged = example().to_json()
    del damaged["rows"][0]["metrics"]
    with pytest.raises(HearlessError, match="damaged"):
        Report.from_json(damaged)
    with pytest.raises(HearlessError, match=r"must be a folder with report\.json"):
        Report.load(tmp_path)
    (tmp_path / "report.json").write_text('{"hearless_report": 1, "ti', encoding="utf-8")
    with pytest.raises(HearlessError, match="must be a report's JSON"):
        Report.load(tmp_path)


def test_environment_names_versions_without_importing_torch() -> None:
    code = (
        "import sys; from hearless import report, provenance, metrics, statistics; "
        "found = provenance.environment(); print(found['torch'], found['python'], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    torch, python, imported = done.stdout.split()
    assert re.match(r"\d+\.\d+", torch)
    assert python == ".".join(map(str, sys.version_info[:3]))
    assert imported == "False"
    assert provenance._version("no-such-package-anywhere") == "not installed"


def test_commit_is_gits_and_says_when_files_differ(tmp_path: Path) -> None:
    assert provenance.git_commit(tmp_path / "nowhere") is None

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *identity, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "-q")
    assert provenance.git_commit(tmp_path) is None
    (tmp_path / "a.txt").write_text("one", encoding="utf-8")
    git("add", "a.txt")
    git("commit", "-q", "-m", "one")
    assert provenance.git_commit(tmp_path) == git("rev-parse", "HEAD")
    (tmp_path / "a.txt").write_text("two", encoding="utf-8")
    assert provenance.git_commit(tmp_path) == git("rev-parse", "HEAD") + "-changed"
    (tmp_path / "src").mkdir()
    for name in ("src/a.py", "src/a.md"):
        (tmp_path / name).write_text("one", encoding="utf-8")
    git("add", "src")
    git("commit", "-q", "-m", "two")
    (tmp_path / "src" / "a.md").write_text("two", encoding="utf-8")
    assert provenance.git_commit(tmp_path / "src") == git("rev-parse", "HEAD")  # a.txt differs, and a text
    (tmp_path / "src" / "a.py").write_text("two", encoding="utf-8")
    assert provenance.git_commit(tmp_path / "src") == git("rev-parse", "HEAD") + "-changed"


def test_a_report_names_the_folders_of_its_runs() -> None:
    rows = (
        Row(
            "CSSD", {}, {"accuracy": Measure(0.5)}, runs=("low_rate-cssd-1/fold1-seed0", "low_rate-cssd-1/fold2-seed0")
        ),
        Row("raw", {}, {"accuracy": Measure(0.4)}),
    )
    text = Report("t", "", ("accuracy",), rows).to_markdown()
    assert "## Runs\n\n- CSSD: `low_rate-cssd-1`\n" in text
    assert "- raw" not in text
