"""Where a number came from: the commit of the code and the versions it ran on."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("hearless", "numpy", "scipy", "soxr", "torch", "lightning-fabric")


def git_commit(folder: Path) -> str | None:
    """Return the commit checked out in ``folder``, with ``-changed`` if its tracked files differ; None outside git.

    Other folders of the repository (reports of earlier runs) and texts (Markdown) do not count.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    differ = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)*.md")
    return f"{commit}-changed" if differ else commit


def code_commit() -> str | None:
    """Return the commit of this code; None outside git."""
    return git_commit(Path(__file__).parent)


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or None where it is missing or refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def environment() -> dict[str, str]:
    """Return Python, platform and package versions, read from package metadata without importing any."""
    found = {"python": platform.python_version(), "platform": platform.system(), "machine": platform.machine()}
    return found | {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str:
    """Return an installed package's version, or ``not installed``."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
