"""A class on a shelf and its keyword arguments: typed, JSON, hashed.

A `Spec` names a class by shelf and name, never by import path, so that a recipe made by a stranger can only
build what lies on the shelves.  The folder is the registry: the class ``CPResNet`` lives in
``classifiers/cp_resnet.py``; a file's name is its class's name in lower case, underscores ignored.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from hearless.interfaces import HearlessError

SHELVES = (
    "datasets", "captures", "frontends", "enhancers", "classifiers", "heads", "objectives", "augmentations",
)  # fmt: skip


@cache
def shelf_files(shelf: str) -> Mapping[str, str]:
    """Return file name by squeezed name for every public file of a shelf, without importing one."""
    if shelf not in SHELVES:
        raise HearlessError(f"shelf must be one of {', '.join(SHELVES)}, got {shelf!r}.")
    package = importlib.import_module(f"hearless.{shelf}")
    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))
    return MappingProxyType({name.replace("_", ""): name for name in names})


def resolve(shelf: str, name: str) -> type[Any]:
    """Return the class ``name`` of ``shelf``; refuse anything that is not a class of a shelf's file."""
    files = shelf_files(shelf)
    file = files.get(name.lower()) if name.isidentifier() and "_" not in name else None
    found = None
    if file is not None:
        module = importlib.import_module(f"hearless.{shelf}.{file}")
        found = vars(module).get(name)
    if not inspect.isclass(found) or found.__module__ != f"hearless.{shelf}.{file}":
        known = ", ".join(class_names(shelf))
        raise HearlessError(
            f"{shelf} has no class {name!r}; a recipe may only name classes on the shelves. Known: {known}."
        )
    return found


@cache
def class_names(shelf: str) -> tuple[str, ...]:
    """Return the class names of a shelf, one a file, by importing its files."""
    names = []
    for squeezed, file in shelf_files(shelf).items():
        module = importlib.import_module(f"hearless.{shelf}.{file}")
        names += [key for key, value in vars(module).items() if inspect.isclass(value) and key.lower() == squeezed]
    return tuple(names)


@dataclass(frozen=True)
class Spec:
    """A class on a shelf and the keyword arguments to build it with.

    Make one with `spec`; two are equal when shelf, name and arguments are.
    """

    shelf: str
    name: str
    arguments: Mapping[str, Any]

    def __hash__(self) -> int:
        return hash((self.shelf, self.name))  # equal arguments may differ in JSON, as 1 and 1.0 do

    def build(self, **extra: Any) -> Any:
        """Build the object; ``extra`` adds what only the caller knows (``n_classes``)."""
        return resolve(self.shelf, self.name)(**{**self.arguments, **extra})

    def replace(self, **changes: Any) -> Spec:
        """Return the same class with some arguments changed."""
        return checked(Spec(self.shelf, self.name, {**self.arguments, **changes}))

    def accepts(self, argument: str) -> bool:
        """Say whether the class takes this keyword."""
        return argument in inspect.signature(resolve(self.shelf, self.name)).parameters

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON: ``{"class": "shelf/Name", argument: value, …}``, defaults expanded."""
        return {"class": f"{self.shelf}/{self.name}", **to_plain(self.arguments)}


def checked(made: Spec) -> Spec:
    """Return ``made`` with every default filled in; an unknown argument is an error now, not later."""
    signature = inspect.signature(resolve(made.shelf, made.name))
    try:
        bound = signature.bind_partial(**made.arguments)
    except TypeError as error:
        known = ", ".join(signature.parameters)
        raise HearlessError(f"{made.shelf}/{made.name}: {error}; it takes {known}.") from error
    filled = {key: p.default for key, p in signature.parameters.items() if p.default is not inspect.Parameter.empty}
    arguments = {**filled, **bound.arguments}
    hints = {key: p.annotation for key, p in signature.parameters.items()}
    arguments = {key: checked(value) if isinstance(value, Spec) else value for key, value in arguments.items()}
    name = f"{made.shelf}/{made.name}"
    fitted = {key: fit_type(f"{name}: {key}", value, str(hints[key])) for key, value in arguments.items()}
    return Spec(made.shelf, made.name, MappingProxyType(fitted))


def fit_type(name: str, value: Any, hint: str) -> Any:
    """Return a plain value as an annotation of plain types such as ``float | None`` has it (``2`` as ``2.0``).

    Raises:
        HearlessError: it does not fit.
    """
    kinds: dict[str, tuple[type, ...]] = {
        "int": (int,), "float": (int, float), "str": (str,), "bool": (bool,), "None": (type(None),),
    }  # fmt: skip
    parts = [part.strip() for part in hint.split("|")]
    if not all(part in kinds for part in parts):
        return value
    allowed = tuple(kind for part in parts for kind in kinds[part])
    if not isinstance(value, allowed) or (isinstance(value, bool) and "bool" not in parts):
        raise HearlessError(f"{name} must be {hint}, got {value!r}.")
    return float(value) if type(value) is int and "int" not in parts else value


def require_shelf(name: str, made: Spec | None, shelf: str) -> None:
    """Refuse a spec called ``name`` that lies on another shelf; None passes."""
    if made is not None and made.shelf != shelf:
        raise HearlessError(f"{name} must be a class of {shelf}, got {made.shelf}/{made.name}.")


def spec(cls: type[Any], /, **arguments: Any) -> Spec:
    """Return the `Spec` of a class on a shelf: ``spec(MobileNetV3, width=0.4)``.

    Raises:
        HearlessError: the class is on no shelf, or an argument does not fit its constructor.
    """
    parts = cls.__module__.split(".")
    if len(parts) != 3 or parts[0] != "hearless" or parts[1] not in SHELVES:
        raise HearlessError(f"{cls.__module__}.{cls.__qualname__} is on no shelf; put it in a file of one.")
    return checked(Spec(parts[1], cls.__name__, arguments))


def named(shelf: str, name: str, **arguments: Any) -> Spec:
    """Return the `Spec` of a class by name, for files that may not import its shelf (weights tables).

    It is checked when it is built or replaced, not here.
    """
    return Spec(shelf, name, MappingProxyType(arguments))


def to_plain(value: Any) -> Any:
    """Return JSON-ready data for plain values, tuples, mappings and anything with ``to_json``."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise HearlessError(f"a recipe holds plain values only, got {value!r} of type {type(value).__name__}.")


def from_plain(value: Any) -> Any:
    """Undo `to_plain` for plain values and specs (lists come back as tuples)."""
    if isinstance(value, Mapping):
        if "class" in value:
            return spec_from_json(value)
        return {key: from_plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(from_plain(item) for item in value)
    return value


def spec_from_json(data: Mapping[str, Any]) -> Spec:
    """Read a `Spec`; refuse import paths and whatever lies on no shelf."""
    if not isinstance(data, Mapping) or "class" not in data:
        raise HearlessError(f"recipe must hold {{'class': 'shelf/Class', …}} here, got {data!r}.")
    shelf, _, name = str(data["class"]).partition("/")
    if shelf not in SHELVES or not name.isidentifier():
        raise HearlessError(
            f"recipe names {data['class']!r}; only 'shelf/Class' of hearless's own shelves "
            f"({', '.join(SHELVES)}) is allowed, never an import path."
        )
    return checked(Spec(shelf, name, {key: from_plain(item) for key, item in data.items() if key != "class"}))


def digest(data: Any, length: int = 12) -> str:
    """Return the first hex digits of the SHA-256 of canonical JSON."""
    text = json.dumps(to_plain(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
