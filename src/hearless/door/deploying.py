"""Runs on devices: exported files and budgets."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from hearless.door.models import only_run
from hearless.interfaces import HearlessError
from hearless.run import Run

if TYPE_CHECKING:
    from hearless.deploy import Budget, Exported, FileBudget


def export(
    run: Run | str | Path, to: str = "onnx", *, root: str | Path | None = None, int8: bool = False,
    out: str | Path | None = None, tolerance: float | None = None,
) -> Exported:  # fmt: skip
    """Write a run's whole pipeline as a file that another runtime runs, checked against PyTorch, or refuse.

    Args:
        run: a run or its folder.
        to: ``"onnx"`` or ``"executorch"``.
        root: the folder of its recordings; default: where `dataset` looks for its data set.
        int8: round a float run to int8.
        out: the file; default: in the run's folder.
        tolerance: how far a logit may lie from PyTorch's; None: what `hearless.exports` allows.

    Raises:
        HearlessError: a recipe's folder with several runs, or see `hearless.deploy.export`.
    """
    from hearless import deploy

    found = only_run(run)
    return deploy.export(
        found, _recordings(found, root), to, int8=int8, out=Path(out) if out else None, tolerance=tolerance
    )


def _recordings(run: Run, root: str | Path | None) -> Path:
    """Return the folder of a run's recordings: a run does not tell where they lie."""
    name = run.recipe.dataset.name
    folder = Path(root) if root else Path("data") / name.lower()
    if not folder.is_dir():
        raise HearlessError(
            f"the file is compared with PyTorch on clips that the run was not trained on: name the folder of its "
            f"recordings ({name}) with --root, got {str(folder)!r}, which is no folder."
        )
    return folder


def budget(
    run: Run | str | Path, *, max_bytes: str | None = None, max_macs: str | None = None, max_ram: str | None = None,
    precision: str | None = None,
) -> Budget | FileBudget:  # fmt: skip
    """Hold what a run's network costs, or an exported file's size, against a budget: see `hearless.deploy.budget`.

    Raises:
        HearlessError: a folder of several runs, of a file what is counted on runs alone, or see there.
    """
    from hearless import deploy

    if isinstance(run, Run) or Path(run).suffix not in deploy.SUFFIXES.values():
        return deploy.budget(
            only_run(run), max_bytes=max_bytes, max_macs=max_macs, max_ram=max_ram, precision=precision
        )  # fmt: skip
    if max_macs or max_ram or precision:
        raise HearlessError(_of_its_run(Path(run)))
    return deploy.file_budget(Path(run), max_bytes=max_bytes)


def _of_its_run(file: Path) -> str:
    """Say which run to name in an exported file's place."""
    beside = next((folder for folder in file.parents[:2] if Run(folder).done), None)
    folder = "RUN" if beside is None else shlex.quote(str(beside))
    told = ", where RUN is the folder of the run that was exported" if beside is None else ""
    return (
        f"--max-macs, --max-ram and --precision are counted layer by layer on a run, got the exported file {file}; "
        f"type: hearless budget {folder} (--precision int8 where the file is int8){told}."
    )
