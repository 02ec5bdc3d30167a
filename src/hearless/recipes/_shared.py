"""What recipes of every folder share: backbones by short name, settings from plain words, published tables.

A backbone is a classifier with the front end it hears through and the weights it starts from.
"""

from __future__ import annotations

import csv
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from hearless.classifiers._official import backbone as published
from hearless.classifiers._official import read_state, recognise
from hearless.classifiers.mobilenetv3 import MobileNetV3
from hearless.closest import closest
from hearless.download import sha256
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.interfaces import HearlessError, UnknownSettingError
from hearless.spec import Spec, checked, fit_type, spec
from hearless.teachers import Pretrained

One = TypeVar("One")

TEACHER_RATE_HZ = 16000
SCRATCH = {"mn02": spec(MobileNetV3, width=0.2)}
"""Networks without published weights, trained from scratch; ``mn02`` is the demo's."""


@dataclass(frozen=True)
class Backbone:
    """A classifier with the front end it hears through and the weights it starts from (None: random)."""

    name: str
    classifier: Spec
    frontend: Spec
    initial: Pretrained | None


def backbone(name: str, weights: str | None = None, sha256: str = "") -> Backbone:
    """Return the backbone of this short name; ``weights`` puts a local file in place of the published one.

    PANNs hear through their 16 kHz front end, as in paper 000 §4.3, whatever their weights were trained on.

    Raises:
        HearlessError: an unknown name, or a weights file for a network that is trained from scratch.
    """
    if name in SCRATCH:
        if weights:
            raise HearlessError(
                f"weights must be left out for {name}, which is trained from scratch, got {weights!r}; take "
                "--backbone mn04, or whichever network the file is of."
            )
        return Backbone(name, SCRATCH[name], spec(PreEmphasisMel, input_rate_hz=TEACHER_RATE_HZ), None)
    class_name, row = published(name)
    classifier = checked(Spec("classifiers", class_name, row.arguments))
    panns = row.view.name == "LogMel"
    frontend = checked(row.view).replace(
        input_rate_hz=TEACHER_RATE_HZ, **({"reference_rate_hz": TEACHER_RATE_HZ} if panns else {})
    )
    initial = Pretrained(weights or name, sha256 if weights else row.remote.sha256)
    return Backbone(name, classifier, frontend, initial)


def from_file(name: str, weights: str | Path | None) -> Backbone:
    """Return a backbone that starts from the published weights (None), from a file, or from random ones ("none")."""
    if weights is None or str(weights) == "none":
        made = backbone(name)
        return made if weights is None else replace(made, initial=None)
    made = backbone(name, str(weights), digest_of(weights))
    _check_kind(made, Path(weights))
    return made


def _check_kind(wanted: Backbone, weights: Path) -> None:
    """Refuse a file that is known to be of another network; one of no known network is refused where it is loaded."""
    found = recognise(read_state(weights))
    alike = [
        class_name == wanted.classifier.name
        and all(
            wanted.classifier.arguments.get(key, value) == value
            for key, value in arguments.items()
            if key != "n_classes"
        )
        for class_name, arguments, _ in found
    ]
    if found and not any(alike):
        class_name, arguments, names = found[0]
        of = f"{class_name} ({', '.join(f'{key} {value}' for key, value in arguments.items())})"
        remedy = f"take --backbone {names[0]}" if names else "take its own network"
        raise HearlessError(f"weights of {wanted.name} must be its own, got '{weights}', which is {of}; {remedy}.")


def digest_of(weights: str | Path) -> str:
    """Return the SHA-256 of a weights file.

    Raises:
        HearlessError: it is no file.
    """
    if not Path(weights).is_file():
        raise HearlessError(f"weights must be a file, 'none', or left out (the published ones), got '{weights}'.")
    return sha256(Path(weights))


def with_words(
    made: Any, words: Mapping[str, Any], fixed: tuple[str, ...] = ("dataset", "backbone"), *, released: bool = False,
    by: Callable[..., Any] | None = None,
) -> Any:  # fmt: skip
    """Return settings, a dataclass, with fields replaced by values or by their text (``epochs="30"``).

    ``released`` says that the system knows the quirks of a published code (``protocol="as_released"``); ``by`` is the
    folder's ``from_words``, whose own words are told with the fields where a name is unknown.

    Raises:
        UnknownSettingError: a name that is no field.
        HearlessError: a value that does not fit its field.
    """
    kinds = {f.name: str(f.type) for f in fields(made) if f.name not in fixed}
    if unknown := set(words) - set(kinds):
        known = dict.fromkeys((*kinds, *_own_words(by)))
        near = [close for name in sorted(unknown) if (close := closest(name, known))]
        guess = f"did you mean {' and '.join(near)}? " if near else ""
        raise UnknownSettingError(f"{guess}settings are {', '.join(known)}; got {', '.join(sorted(unknown))}.")
    chosen = replace(made, **{name: value_of(name, value, kinds[name]) for name, value in words.items()})
    if vars(chosen).get("protocol") == "as_released" and not released:
        raise HearlessError("protocol must be honest or paper, got 'as_released': no published code is repeated here.")
    return chosen


def _own_words(by: Callable[..., Any] | None) -> list[str]:
    """Return which words a ``from_words`` takes itself, less those that have options of their own."""
    taken = inspect.signature(by).parameters.values() if by else ()
    return [one.name for one in taken if one.kind is one.KEYWORD_ONLY and one.name not in ("backbone", "weights")]


TEXTS: dict[str, Callable[[str], Any]] = {
    "bool": {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}.__getitem__,
    "int": int,
    "float": float,
    "None": {"none": None}.__getitem__,
}


def value_of(name: str, value: Any, hint: str) -> Any:
    """Return a setting of this annotation (``int | None``) from a value or from its text."""
    if not isinstance(value, str) or hint == "str":
        return fit_type(name, value, hint)
    for kind in hint.split(" | "):
        with suppress(ValueError, KeyError):
            return TEXTS[kind](value.lower())
    raise HearlessError(f"{name} must be {hint.replace('bool', 'yes or no').replace(' | ', ' or ')}, got {value!r}.")


def published_rows(system: str, table: str, /, **where: str) -> list[dict[str, str]]:
    """Return the lines of a paper's table beside a system's recipes whose columns hold these values.

    Args:
        system: the folder of the recipes.
        table: the file's name, such as ``"paper_000_table1"``.
        where: the values wanted, by column.
    """
    text = (files("hearless.recipes") / system / f"{table}.csv").read_text()
    return [row for row in csv.DictReader(text.splitlines()) if all(row[name] == where[name] for name in where)]


def the_one(each: Sequence[One], takes: str = "this study takes one backbone at a time") -> One:
    """Return the settings of a study of one network.

    Raises:
        HearlessError: there are several.
    """
    if len(each) != 1:
        raise HearlessError(f"{takes}, got {len(each)}; name one --backbone.")
    return each[0]


def no_rates(rates: Sequence[int]) -> None:
    """Refuse rates for a study that has none to choose.

    Raises:
        HearlessError: there are some.
    """
    if rates:
        raise HearlessError(f"rates are nothing to this study, got {list(rates)}; leave --rates out.")


def the_one_at_a_rate(each: Sequence[One], rates: Sequence[int]) -> tuple[One, int]:
    """Return settings and rate of a study of one network at one rate.

    Raises:
        HearlessError: there are several.
    """
    if len(each) != 1 or len(rates) != 1:
        raise HearlessError(f"this study takes one backbone and one rate, got {len(each)} and {list(rates)}.")
    return each[0], rates[0]
