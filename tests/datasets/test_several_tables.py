"""Several tables as one data set."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from hearless.datasets.csv_labels import CsvLabels
from hearless.datasets.several_tables import SeveralTables
from hearless.interfaces import HearlessError
from hearless.splits import check_leaks, folds, parts

BUILDERS = runpy.run_path(str(Path(__file__).parents[1] / "fakes" / "corpora.py"))["BUILDERS"]


def test_every_fold_of_every_table_is_a_fold(tmp_path: Path) -> None:
    BUILDERS["SeveralTables"](tmp_path)
    clips = SeveralTables(tables="field/meta.csv;home/meta.csv").clips(tmp_path)
    field = CsvLabels().clips(tmp_path / "field")
    assert [clip.id for clip in clips[: len(field)]] == [f"field/{clip.id}" for clip in field]
    assert [clip.path for clip in clips[: len(field)]] == [clip.path for clip in field]
    assert [clip.labels for clip in clips[: len(field)]] == [clip.labels for clip in field]
    assert set(folds(clips)) == {"field/1", "field/2", "home/train", "home/test"}
    check_leaks(clips)


def test_a_fold_of_one_is_tested_and_the_rest_trains(tmp_path: Path) -> None:
    BUILDERS["SeveralTables"](tmp_path)
    clips = SeveralTables(tables="field/meta.csv;home/meta.csv").clips(tmp_path)
    sides = parts(clips, "field/2")
    assert {clip.fold for clip in sides.test} == {"field/2"}
    assert {clip.fold for clip in sides.train} == {"field/1", "home/train", "home/test"}


def test_recordings_of_one_name_in_two_tables_are_not_one(tmp_path: Path) -> None:
    BUILDERS["SeveralTables"](tmp_path)
    clips = SeveralTables(tables="field/meta.csv;home/meta.csv").clips(tmp_path)
    assert {clip.group.partition("/")[0] for clip in clips} == {"field", "home"}
    assert len({clip.group for clip in clips}) == 8


def test_a_table_at_the_root_is_called_after_it(tmp_path: Path) -> None:
    BUILDERS["SeveralTables"](tmp_path)
    beside = SeveralTables(tables="meta.csv;../home/meta.csv").clips(tmp_path / "field")
    above = SeveralTables(tables="field/meta.csv;home/meta.csv").clips(tmp_path)
    assert [(clip.id, clip.fold, clip.group) for clip in beside] == [(c.id, c.fold, c.group) for c in above]
    with pytest.raises(HearlessError, match="tables must be two or more in folders of different names"):
        SeveralTables(tables="meta.csv;other/field/meta.csv").clips(tmp_path / "field")


@pytest.mark.parametrize("tables", ["", "meta.csv", "a/meta.csv;b/a/meta.csv", "meta.csv;meta.tsv"])
def test_one_table_or_folders_of_one_name_are_refused(tables: str) -> None:
    with pytest.raises(HearlessError, match="tables must be two or more in folders of different names"):
        SeveralTables(tables=tables)


def test_what_is_wrong_with_a_table_is_said(tmp_path: Path) -> None:
    BUILDERS["SeveralTables"](tmp_path)
    (tmp_path / "home" / "meta.csv").write_text("path,label\nnowhere.wav,a\n")
    with pytest.raises(HearlessError, match=r"home.*meta\.csv[\s\S]*nowhere\.wav"):
        SeveralTables(tables="field/meta.csv;home/meta.csv").clips(tmp_path)
