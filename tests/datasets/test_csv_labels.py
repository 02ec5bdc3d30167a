from __future__ import annotations

import runpy
from collections import Counter
from pathlib import Path

import pytest

from hearless import audio
from hearless.datasets.csv_labels import CsvLabels
from hearless.interfaces import HearlessError
from hearless.splits import check_leaks, folds, hold_out, parts

CORPORA = runpy.run_path(str(Path(__file__).parents[1] / "fakes" / "corpora.py"))


def fill(root: Path, text: str, *names: str, folder: str = "") -> Path:
    """Write a table and the sounds named."""
    CORPORA["table"](root / "meta.csv", text)
    for seed, name in enumerate(names):
        CORPORA["noise"](root / folder / name, seconds=0.05, seed=seed)
    return root


@pytest.mark.parametrize("folder", ["", "audio", "wav"])
def test_the_usual_columns_are_found(tmp_path: Path, folder: str) -> None:
    fill(
        tmp_path,
        "filename,category,fold,src_file,device\n1.wav,dog,1,r1,a\n2.wav,cat,2,,\n",
        "1.wav",
        "2.wav",
        folder=folder,
    )
    one, two = CsvLabels().clips(tmp_path)
    assert (one.id, one.path, one.labels) == ("1.wav", tmp_path / folder / "1.wav", ("dog",))
    assert (one.fold, one.split, one.group, one.device) == ("1", None, "r1", "a")
    assert (two.group, two.device, two.duration_s) == ("2.wav", None, None)


def test_columns_and_places_can_be_mapped(tmp_path: Path) -> None:
    sounds = tmp_path / "elsewhere"
    text = "clip;what;label;part\n1.wav;dog;x;Training\n2.wav;cat;x;val\n"
    fill(tmp_path, text, "1.wav", "2.wav", folder="elsewhere")
    (tmp_path / "meta.csv").rename(tmp_path / "list.txt")
    table = CsvLabels(table="list.txt", audio=str(sounds), path="clip", label="what", split="part")
    assert [(c.path, c.labels, c.split) for c in table.clips(tmp_path)] == [
        (sounds / "1.wav", ("dog",), "train"),
        (sounds / "2.wav", ("cat",), "validation"),
    ]


def test_an_absolute_table_and_a_byte_order_mark(tmp_path: Path) -> None:
    fill(tmp_path / "root", "", "a.wav", "b.wav")
    table = tmp_path / "labels.tsv"
    table.write_bytes("\ufeffpath\tlabel\tfold\r\na.wav\tÄ, b\t1\r\nb.wav\tx\t2\r\n\r\n".encode())
    assert [c.labels for c in CsvLabels(table=str(table)).clips(tmp_path / "root")] == [("Ä, b",), ("x",)]


def test_several_labels(tmp_path: Path) -> None:
    fill(tmp_path, "path,labels,fold\n1.wav,dog; rain;dog,1\n2.wav,rain,2\n", "1.wav", "2.wav")
    assert [c.labels for c in CsvLabels().clips(tmp_path)] == [("dog", "rain"), ("rain",)]


def test_segments_of_one_file_are_one_recording(tmp_path: Path) -> None:
    rows = "".join(f"{n}.wav,{'ab'[k]},{k * 1.5},{k * 1.5 + 1}\n" for n in range(4) for k in range(2))
    fill(tmp_path, "path,label,onset,offset\n" + rows, *[f"{n}.wav" for n in range(4)])
    clips = CsvLabels(n_folds=2).clips(tmp_path)
    assert [(c.id, c.start_s, c.duration_s) for c in clips[:2]] == [("0.wav@0.0", 0.0, 1.0), ("0.wav@1.5", 1.5, 1.0)]
    assert {c.group for c in clips} == {"0.wav", "1.wav", "2.wav", "3.wav"}
    check_leaks(clips)
    assert folds(clips) == ("1", "2")


def test_a_duration_column(tmp_path: Path) -> None:
    fill(tmp_path, "path,label,start,length,fold\n1.wav,a,0.01,0.02,1\n2.wav,b,,,2\n", "1.wav", "2.wav")
    one, two = CsvLabels(duration_s="length").clips(tmp_path)
    assert (one.start_s, one.duration_s) == (0.01, pytest.approx(0.02))
    assert (two.start_s, two.duration_s) == (0.0, None)
    assert len(audio.read(one.path, None, one.start_s, one.duration_s)[0]) == 160


def test_folds_are_drawn_by_group_where_there_are_none(tmp_path: Path) -> None:
    CORPORA["csv_labels"](tmp_path)
    clips = CsvLabels(n_folds=3).clips(tmp_path)
    check_leaks(clips)
    assert Counter((c.fold, c.labels[0]) for c in clips) == {(f, x): 2 for f in "123" for x in "ab"}
    assert clips != CsvLabels(n_folds=3, seed=1).clips(tmp_path)


def test_a_dash_takes_no_column(tmp_path: Path) -> None:
    fill(tmp_path, "path,label,fold,speaker\n1.wav,a,1,s\n2.wav,b,2,s\n", "1.wav", "2.wav")
    with pytest.raises(HearlessError, match="leak"):
        parts(CsvLabels().clips(tmp_path), "1")
    assert [c.group for c in CsvLabels(group="-").clips(tmp_path)] == ["1.wav", "2.wav"]


def test_all_problems_of_the_rows_in_one_error(tmp_path: Path) -> None:
    fill(
        tmp_path,
        "path,label,start,end,fold\n1.wav,a,0,1,1\n./1.wav,a,0,2,1\ngone.wav,b,0,1,1\n1.wav,,1,2,1\n1.wav,a,2,2,1\n"
        "1.wav,a,x,3,1\n1.wav,a,nan,3,\n1.wav,b,-5,3,1\n",
        "1.wav",
    )
    with pytest.raises(HearlessError) as caught:
        CsvLabels().clips(tmp_path)
    said = str(caught.value)
    for part in (
        "gone.wav@0.0: no such file",
        "1.wav@1.0: no label",
        "end must lie behind start, got 2 to 2 s",
        "start_s must be a number of seconds, got 'x'",
        "times must be finite",
        "1.wav (start 0 s) is listed 5 times",
        "1 clip has no fold or split",
    ):
        assert part in said


def test_missing_columns_say_which_exist_and_how_to_map(tmp_path: Path) -> None:
    fill(tmp_path, "clip,what,fold,split\n1.wav,a,1,train\n")
    with pytest.raises(HearlessError) as caught:
        CsvLabels(device="phone").clips(tmp_path)
    said = str(caught.value)
    for part in (
        "no column for path",
        "the table has clip, what, fold, split: say which with path='…'",
        "no column for label",
        "no column 'phone' for device",
        "both 'fold' and 'split' part the clips",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("path,label\n1.wav,a\n2.wav,a\n", r"one class only \(a\)"),
        ("path,label,fold\n1.wav,a,1\n2.wav,b,train\n", "folds and splits are mixed"),
        ("path,label,split\n1.wav,a,test-clean\n2.wav,b,train\n", "train, validation or test, got test-clean"),
        ("path,label\n1.wav,a\n2.wav,b,c\n", "row 3: 3 values for 2 columns"),
        ("path,label\n", "and 0 rows"),
        ("path,path\n1.wav,a\n", "distinct column names"),
        ("", "got columns none"),
        ('path,label\n"1.wav,a\n', "must be a table of UTF-8 text"),
        ("path,label\n1.wav,a\n2.wav,b\n", "source recordings, got 5"),
    ],
)
def test_wrong_tables(tmp_path: Path, text: str, match: str) -> None:
    fill(tmp_path, text, "1.wav", "2.wav")
    with pytest.raises(HearlessError, match=match):
        CsvLabels().clips(tmp_path)


def test_a_table_of_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "meta.csv").write_bytes("path,label\n1.wav,Gänse\n".encode("latin-1"))
    with pytest.raises(HearlessError, match=r"meta\.csv must be a table of UTF-8 text"):
        CsvLabels().clips(tmp_path)


def test_long_lists_of_problems_are_cut(tmp_path: Path) -> None:
    fill(tmp_path, "path,label\n" + "".join(f"{n}.wav,{'ab'[n % 2]}\n" for n in range(50)))
    with pytest.raises(HearlessError, match=r"has 50 problem\(s\)[\s\S]*… and 30 more"):
        CsvLabels().clips(tmp_path)


def test_wrong_arguments() -> None:
    with pytest.raises(HearlessError, match="n_folds must be at least 2, got 1"):
        CsvLabels(n_folds=1)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "n_clips", "n_labels", "expected"),
    [
        ("esc50_subset_16k", 840, 21, ("1", "2", "3", "4", "5")),
        ("urbansound8k_mini_16k", 600, 10, ("1", "2", "10")),
        ("speech_commands_3words_16k", 1500, 3, ("split",)),
    ],
)
def test_real_tables(shared: Path, name: str, n_clips: int, n_labels: int, expected: tuple[str, ...]) -> None:
    clips = CsvLabels().clips(shared / "data" / name)
    assert (len(clips), len({c.labels for c in clips}), folds(clips)) == (n_clips, n_labels, expected)
    for fold in expected:
        train, test, validation = parts(clips, fold)
        assert len(train) + len(test) + len(validation) == n_clips
        kept, held = hold_out(train, 0.25, 0)
        assert not {c.group for c in kept} & {c.group for c in held}
        assert len(held) / len(train) == pytest.approx(0.25, abs=0.03)


@pytest.mark.data
def test_real_splits_are_the_published_ones(shared: Path) -> None:
    clips = CsvLabels().clips(shared / "data" / "speech_commands_3words_16k")
    assert [len(side) for side in parts(clips, "split")] == [900, 360, 240]


@pytest.mark.data
def test_the_digits_official_split_shares_its_speakers(shared: Path) -> None:
    root = shared / "data" / "fsdd_8k"
    with pytest.raises(HearlessError, match="6 of 6 do not: george in test, train"):
        parts(CsvLabels().clips(root), "split")
    assert [len(side) for side in parts(CsvLabels(group="-").clips(root), "split")] == [2700, 300, 0]
    assert [len(side) for side in parts(CsvLabels(fold="-", n_folds=6).clips(root), "1")] == [2500, 500, 0]


@pytest.mark.data
def test_speakers_as_classes(shared: Path) -> None:
    root = shared / "data" / "librispeech_clips_16k"
    with pytest.raises(HearlessError, match="no column for label"):
        CsvLabels(split="-").clips(root)
    clips = CsvLabels(label="speaker", split="-", n_folds=2).clips(root)
    assert (len(clips), len({c.group for c in clips})) == (36, 36)
    with pytest.raises(HearlessError, match="every tested class must be in the training part"):
        parts(clips, "1")
