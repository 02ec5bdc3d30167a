"""Runs on devices: exported files and budgets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hearless.door.models import finished
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
        HearlessError: see `hearless.deploy.export`.
    """
    from hearless import deploy

    found = finished(run.path if isinstance(run, Run) else Path(run))[0]
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
    """Count what a run's network costs and hold it against a budget: see `hearless.deploy.budget`."""
    from hearless import deploy

    found = run if isinstance(run, Run) else finished(Path(run))[0]
    return deploy.budget(found, max_bytes=max_bytes, max_macs=max_macs, precision=precision)
