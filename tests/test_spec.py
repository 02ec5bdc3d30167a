"""Specs: the folder is the registry, arguments are typed, JSON names shelves only, hashes stay."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearless.augmentations.gain import Gain
from hearless.augmentations.roll import Roll
from hearless.augmentations.spec_augment import SpecAugment
from hearless.classifiers._panns import ConvBlock
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.datasets.csv_labels import CsvLabels
from hearless.interfaces import HearlessError
from hearless.spec import (
    SHELVES,
    Spec,
    checked,
    class_names,
    digest,
    fit_type,
    from_plain,
    named,
    require_shelf,
    resolve,
    shelf_files,
    spec,
    spec_from_json,
    to_plain,
)

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: "class" not in str(value))


@pytest.mark.parametrize("shelf", SHELVES)
def test_every_public_file_of_a_shelf_holds_the_one_class_of_its_name(shelf: str) -> None:
    folder = Path(str(importlib.import_module(f"hearless.{shelf}").__file__)).parent
    files = sorted(path.stem for path in folder.glob("[!_]*.py"))
    assert sorted(shelf_files(shelf).values()) == files
    assert sorted(name.lower() for name in class_names(shelf)) == sorted(file.replace("_", "") for file in files)
    assert {resolve(shelf, name).__module__ for name in class_names(shelf)} == {f"hearless.{shelf}.{f}" for f in files}


def test_an_unknown_shelf_is_an_error() -> None:
    with pytest.raises(HearlessError, match=r"shelf must be one of datasets, .*, got 'cellar'"):
        shelf_files("cellar")


def test_defaults_are_filled_in_and_the_object_is_built_with_them() -> None:
    parameters = inspect.signature(SpecAugment).parameters
    made = spec(SpecAugment, n_time=1)
    assert made.arguments == {key: p.default for key, p in parameters.items()} | {"n_time": 1}
    built = made.build()
    assert (type(built), built.n_time, built.n_bands) == (SpecAugment, 1, parameters["n_bands"].default)


def test_build_takes_what_only_the_caller_knows() -> None:
    assert spec(MobileNetV3, width=0.2).build(n_classes=3).n_classes == 3


def test_replace_changes_one_argument_and_checks_it() -> None:
    made = spec(SpecAugment)
    assert made.replace(n_time=1) == spec(SpecAugment, n_time=1)
    with pytest.raises(HearlessError, match="unexpected keyword argument 'n_times'"):
        made.replace(n_times=1)
    with pytest.raises(HearlessError, match="n_time must be int, got 'one'"):
        made.replace(n_time="one")


def test_accepts_says_which_keywords_a_class_takes() -> None:
    assert spec(Gain).accepts("max_db")
    assert not spec(Gain).accepts("min_db")


@pytest.mark.parametrize(
    ("cls", "arguments", "said"),
    [
        (Gain, {"max_db": "6"}, "augmentations/Gain: max_db must be float, got '6'"),
        (Gain, {"max_db": None}, "max_db must be float, got None"),
        (Gain, {"max_db": True}, "max_db must be float, got True"),
        (SpecAugment, {"n_time": 1.0}, "n_time must be int, got 1.0"),
        (SpecAugment, {"n_time": True}, "n_time must be int, got True"),
        (SpecAugment, {"mel": 3}, "mel must be str, got 3"),
        (Roll, {"student_only": 1}, "student_only must be bool, got 1"),
        (Roll, {"max_s": "0.1"}, r"max_s must be float \| None, got '0.1'"),
        (Gain, {"loudness": 3}, "unexpected keyword argument 'loudness'; it takes max_db"),
    ],
)
def test_what_does_not_fit_the_constructor_is_said(cls: type[Any], arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(HearlessError, match=said):
        spec(cls, **arguments)


def test_an_int_becomes_a_float_and_none_passes_where_it_is_allowed() -> None:
    assert repr(spec(Gain, max_db=6).arguments["max_db"]) == "6.0"
    assert spec(Gain, max_db=6).to_json() == spec(Gain, max_db=6.0).to_json()
    assert spec(Roll, max_s=None).arguments["max_s"] is None
    free = object()
    assert fit_type("free", free, "Whatever | None") is free


@pytest.mark.parametrize("cls", [str, Path, Spec, pytest.Item])
def test_a_class_on_no_shelf_has_no_spec(cls: type[Any]) -> None:
    with pytest.raises(HearlessError, match=f"{cls.__name__} is on no shelf"):
        spec(cls)


def test_a_helper_class_beside_a_shelf_has_no_spec() -> None:
    with pytest.raises(HearlessError, match=r"is on no shelf|has no class 'ConvBlock'"):
        spec(ConvBlock)


@pytest.mark.parametrize("shelf", SHELVES)
def test_json_round_trip(shelf: str) -> None:
    for name in class_names(shelf):
        example = vars(importlib.import_module(resolve(shelf, name).__module__))["EXAMPLE"]
        made = spec(resolve(shelf, name), **example)
        read = spec_from_json(json.loads(json.dumps(made.to_json())))
        assert read == made
        assert hash(read) == hash(made)
        assert digest(read) == digest(made)


def test_json_without_an_argument_gets_its_default() -> None:
    assert spec_from_json({"class": "augmentations/Gain"}) == spec(Gain)


@pytest.mark.parametrize(
    "name",
    [
        "os/system",
        "hearless.classifiers.mobilenetv3/MobileNetV3",
        "hearless.classifiers.mobilenetv3.MobileNetV3",
        "classifiers.mobilenetv3/MobileNetV3",
        "classifiers/mobilenetv3.MobileNetV3",
        "../classifiers/MobileNetV3",
        "classifiers/../antigravity",
        "antigravity",
        "/MobileNetV3",
        "",
        "MobileNetV3",
    ],
)
def test_an_import_path_is_refused_and_not_imported(name: str) -> None:
    with pytest.raises(HearlessError, match=r"only 'shelf/Class' .* never an import path"):
        spec_from_json({"class": name})
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "name",
    [
        "classifiers/Gain",
        "augmentations/MobileNetV3",
        "augmentations/Sequence",
        "augmentations/np",
        "augmentations/EXAMPLE",
        "augmentations/gain",
        "augmentations/GAIN",
        "augmentations/__init__",
        "augmentations/__builtins__",
        "augmentations/_draws",
        "classifiers/_panns",
        "classifiers/ConvBlock",
        "classifiers/BasicBlock",
        "enhancers/MobileNetV3",
    ],
)
def test_what_is_not_a_class_of_that_shelf_is_refused(name: str) -> None:
    shelf, _, bare = name.partition("/")
    with pytest.raises(HearlessError, match=f"{shelf} has no class '{bare}'; a recipe may only name classes on"):
        spec_from_json({"class": name})


def test_the_known_classes_are_listed() -> None:
    assert "Gain" in class_names("augmentations")
    with pytest.raises(HearlessError, match=f"Known: {', '.join(class_names('augmentations'))}"):
        resolve("augmentations", "Gian")


@pytest.mark.parametrize("data", ["augmentations/Gain", None, 3, [], {}, {"Class": "augmentations/Gain"}])
def test_json_that_is_no_spec_is_said(data: Any) -> None:
    with pytest.raises(HearlessError, match=r"recipe must hold \{'class': 'shelf/Class', …\} here, got"):
        spec_from_json(data)


def test_json_with_a_wrong_argument_is_refused() -> None:
    with pytest.raises(HearlessError, match="max_db must be float, got 'loud'"):
        spec_from_json({"class": "augmentations/Gain", "max_db": "loud"})


def test_a_spec_of_another_shelf_is_refused_by_name() -> None:
    require_shelf("augmentation", spec(Gain), "augmentations")
    require_shelf("head", None, "heads")
    with pytest.raises(HearlessError, match="head must be a class of heads, got augmentations/Gain"):
        require_shelf("head", spec(Gain), "heads")


def test_named_is_the_same_spec_once_checked() -> None:
    made = named("augmentations", "Gain", max_db=3.0)
    assert made == spec(Gain, max_db=3.0)
    assert checked(named("augmentations", "SpecAugment", n_time=1)) == spec(SpecAugment, n_time=1)
    with pytest.raises(HearlessError, match="has no class 'Pain'"):
        checked(named("augmentations", "Pain"))


def test_equal_specs_hash_alike() -> None:
    assert spec(Gain, max_db=6) == spec(Gain, max_db=6.0)
    assert len({spec(Gain, max_db=6), spec(Gain, max_db=6.0), spec(Gain), spec(Gain, max_db=5.0)}) == 2


def test_the_hash_is_of_canonical_json() -> None:
    text = '{"class":"augmentations/Gain","max_db":3.5}'
    assert digest(spec(Gain, max_db=3.5), 64) == hashlib.sha256(text.encode()).hexdigest()
    assert digest(spec(Gain, max_db=3.5)) == hashlib.sha256(text.encode()).hexdigest()[:12]


def test_the_hash_of_a_spec_never_changes() -> None:
    """Runs are named by it: a change of this number orphans every run ever made."""
    assert digest(spec(SpecAugment, n_time=1)) == "34d5833c02d5"
    assert digest(spec(MobileNetV3, width=0.4)) == "8fc3c3222f96"


def test_the_order_of_keys_does_not_matter_and_values_do() -> None:
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert digest({"a": 1, "b": 2}) != digest({"a": 2, "b": 1})
    assert digest([1, 2]) != digest([2, 1])
    assert digest(1) != digest("1")
    assert digest("é") == hashlib.sha256('"é"'.encode()).hexdigest()[:12]
    same = Spec("augmentations", "SpecAugment", dict(reversed(spec(SpecAugment).arguments.items())))
    assert same == spec(SpecAugment)
    assert digest(same) == digest(spec(SpecAugment))


@settings(max_examples=50, deadline=None)
@given(PLAIN)
def test_plain_values_survive_json(value: Any) -> None:
    assert from_plain(json.loads(json.dumps(to_plain(value)))) == value


def test_specs_inside_values_survive_json() -> None:
    value = {"first": (spec(Gain), spec(Roll)), "second": spec(CsvLabels, n_folds=3)}
    assert from_plain(json.loads(json.dumps(to_plain(value)))) == value


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", Path("x"), 1j])
def test_only_plain_values_enter_a_recipe(value: Any) -> None:
    with pytest.raises(HearlessError, match=f"plain values only, got .* of type {type(value).__name__}"):
        digest({"a": [value]})
