"""What every data set promises; the shelf is read from its folder."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from hearless.interfaces import Dataset, HearlessError
from hearless.spec import class_names, resolve, spec
from hearless.splits import check_leaks, folds, parts

BUILDERS = runpy.run_path(str(Path(__file__).parents[1] / "fakes" / "corpora.py"))["BUILDERS"]
NAMES = class_names("datasets")


@pytest.fixture(params=NAMES)
def cls(request: pytest.FixtureRequest) -> type[Any]:
    return resolve("datasets", request.param)


def example(cls: type[Any]) -> Any:
    module = __import__(cls.__module__, fromlist=["EXAMPLE"])
    return spec(cls, **module.EXAMPLE).build()


@pytest.fixture
def made(cls: type[Any], tmp_path: Path) -> tuple[Any, Path]:
    """A minimal data set and a root that holds its tiny corpus (or where it makes its own)."""
    if cls.__name__ in BUILDERS:
        BUILDERS[cls.__name__](tmp_path)
    return example(cls), tmp_path


def test_says_what_it_is(cls: type[Any]) -> None:
    dataset = example(cls)
    assert isinstance(dataset, Dataset)
    assert dataset.licence.strip()
    assert dataset.source.strip()
    assert dataset.labels is None or len(set(dataset.labels)) == len(dataset.labels) >= 2
    assert all(remote.url.startswith("https://") and remote.filename for remote in dataset.remotes)


def test_clips_keep_the_promises(made: tuple[Any, Path]) -> None:
    dataset, root = made
    clips = dataset.clips(root)
    assert len({clip.id for clip in clips}) == len(clips) > 0
    assert all(clip.path.is_file() for clip in clips)
    found = {label for clip in clips for label in clip.labels}
    assert found <= set(dataset.labels or found)
    assert dataset.multi_label is not False or all(len(clip.labels) == 1 for clip in clips)


def test_no_leaks_and_every_fold_trains(made: tuple[Any, Path]) -> None:
    dataset, root = made
    clips = dataset.clips(root)
    check_leaks(clips)
    for fold in folds(clips):
        sides = parts(clips, fold)
        assert sorted(c.id for side in sides for c in side) == sorted(c.id for c in clips)


def test_is_deterministic(made: tuple[Any, Path], cls: type[Any]) -> None:
    dataset, root = made
    assert dataset.clips(root) == example(cls).clips(root)


def test_a_root_without_data_says_how_to_get_it(cls: type[Any], tmp_path: Path) -> None:
    if cls.__name__ not in BUILDERS:
        assert example(cls).clips(tmp_path)
        return
    with pytest.raises(HearlessError, match=r"must (hold|be)[^;]*; (download|give) ") as caught:
        example(cls).clips(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_unknown_arguments_are_refused(cls: type[Any]) -> None:
    with pytest.raises(HearlessError, match="it takes"):
        spec(cls, colour="blue")
    with pytest.raises(TypeError):
        cls("positional")
