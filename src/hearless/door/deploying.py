"""Runs on devices: exported files and budgets."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from hearless.door.models import only_run
from hearless.interfaces import HearlessError
from hearless.run import Run

if TYPE_CHECKING:
    from hearless.deploy import Budget, Exported


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
    run: Run | str | Path, *, max_bytes: str | None = None, max_macs: str | None = None, precision: str | None = None
) -> Budget:
    """Count what a run's network costs and hold it against a budget: see `hearless.deploy.budget`.

    Raises:
        HearlessError: an exported file or a folder of several runs in a run's place, or see there.
    """
    from hearless import deploy

    if not isinstance(run, Run) and Path(run).suffix in deploy.SUFFIXES.values():
        raise HearlessError(_of_its_run(Path(run)))
    return deploy.budget(only_run(run), max_bytes=max_bytes, max_macs=max_macs, precision=precision)


def _of_its_run(file: Path) -> str:
    """Say which run to name in an exported file's place."""
    beside = Run(file.parent).done
    folder = shlex.quote(str(file.parent)) if beside else "RUN"
    told = "" if beside else ", where RUN is the folder of the run that was exported"
    return (
        f"a budget is counted layer by layer on a run, got the exported file {file}; type: hearless budget {folder}"
        f" (--precision int8 where the file is int8){told}."
    )
