"""Data sets by name, by table or by folder; what there is, and how it is fetched."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hearless import download
from hearless.classifiers._official import weights_table
from hearless.door.recipes import recipe_names
from hearless.interfaces import HearlessError
from hearless.spec import SHELVES, Spec, class_names, resolve, spec
from hearless.weights import weights_folder

Tables = str | Path | Sequence[str | Path] | None
"""A user's table of clips, or several."""


def dataset(
    name: str | None = None, labels: Tables = None, root: str | Path | None = None,
    mapping: dict[str, str] | None = None,
) -> tuple[Spec, Path]:  # fmt: skip
    """Return a data set and the folder of its sound, from a name, a table of labels, or a folder of class folders.

    Args:
        name: a data set of the shelf, such as ``"ESC50"`` or ``"synthetic"``.
        labels: a CSV table of the user's own clips, or several, whose folds then are named ``folder/fold``.
        root: where the sounds lie; default: beside the table.
        mapping: further arguments of the data set by name; for a table the names of its columns, such as
            ``{"label": "category"}``.

    Raises:
        HearlessError: no such table or data set, or an argument that it does not take.
    """
    more = dict(mapping or {})
    tables = [Path(one) for one in ([labels] if isinstance(labels, str | Path) else labels or [])]
    if wrong := [table for table in tables if not table.is_file()]:
        raise HearlessError(f"labels must be a CSV file, got {wrong[0]}; name the table with one row a clip.")
    if root is not None and name is None and not Path(root).is_dir():
        raise HearlessError(f"root must be the folder of the sounds, got {root}, which is no folder.")
    if tables:
        beside = tables[0].parent if len(tables) == 1 else Path(os.path.commonpath([t.parent for t in tables]))
        folder = Path(root) if root else beside
        relative = [Path(os.path.relpath(table.resolve(), folder.resolve())).as_posix() for table in tables]
        if len(relative) > 1:
            return _data_set("SeveralTables", {**more, "tables": ";".join(relative)}), folder
        return _data_set("CsvLabels", {**more, "table": relative[0]}), folder
    if name is not None:
        known = {n.lower(): n for n in class_names("datasets")}
        if name.lower().replace("_", "") not in known:
            raise HearlessError(f"dataset must be one of {', '.join(known)}, got {name!r}.")
        default = Path("data") / name.lower()
        return _data_set(known[name.lower().replace("_", "")], more), Path(root) if root else default
    if root is None:
        raise HearlessError(
            "name your sounds: --labels TABLE.csv, --root FOLDER (one folder a class), or --dataset NAME."
        )
    return _data_set("FolderLabels", more), Path(root)


def _data_set(name: str, arguments: dict[str, Any]) -> Spec:
    """Return a data set's spec; whole numbers may come as text, as the command line has them."""
    cls = resolve("datasets", name)
    hints = {key: str(p.annotation) for key, p in inspect.signature(cls).parameters.items()}
    whole = {k: int(v) for k, v in arguments.items() if hints.get(k) == "int" and str(v).isdecimal()}
    return spec(cls, **{**arguments, **whole})


def fetch(
    name: str, folder: Path | None = None, *, confirm: Callable[[str], bool] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> list[Path]:  # fmt: skip
    """Download a published weights file or a data set by name, checked, and return where it lies.

    Args:
        name: such as ``"mn04"`` or ``"esc50"``.
        folder: where a data set goes; default: ``data/NAME``.
        confirm: asked before a file is kept whose checksum nobody published; None: such a file is an error.
        say: told the licence and the source.

    Raises:
        HearlessError: an unknown name, or a file that did not arrive whole.
    """
    table, known = weights_table(), {n.lower() for n in class_names("datasets")}
    if name in table:
        row = table[name][1]
        say(f"{name}: {row.licence}; {row.source}")
        return [download.fetch(row.remote, weights_folder(), confirm=confirm)]
    if name.lower().replace("_", "") not in known:
        raise HearlessError(
            f"no weights or data set is called {name!r}; weights: {', '.join(table)}; data sets: "
            f"{', '.join(sorted(known))}."
        )
    data, default = dataset(name)
    corpus = data.build()
    say(f"{name}: {corpus.licence}; {corpus.source}{'' if corpus.remotes else '; nothing to download'}")
    return [download.fetch(remote, folder or default, confirm=confirm) for remote in corpus.remotes]


def contents() -> dict[str, tuple[str, ...]]:
    """Return what there is: every shelf's classes, every recipe and study, every published weights file."""
    shelves = {shelf: class_names(shelf) for shelf in SHELVES}
    return {**shelves, "recipes and studies": recipe_names(), "weights": tuple(weights_table())}
