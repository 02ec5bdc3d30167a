"""Checksummed downloads: what arrives whole and unchanged gets its name, all else leaves nothing behind."""

from __future__ import annotations

import errno
import gzip
import hashlib
import lzma
import os
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

import platformdirs
import pooch
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from hearless.interfaces import HearlessError, Remote

Confirm = Callable[[str], bool]

TIMEOUT_S = 30
CHUNK_BYTES = 1 << 18
DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError, NotImplementedError
)  # fmt: skip
"""What archives that are broken off, of no known kind or unsafe raise."""


def cache_folder() -> Path:
    """Return where downloads are kept: ``$HEARLESS_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("HEARLESS_CACHE") or platformdirs.user_cache_path("hearless"))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return file_hash(path, "sha256")


def file_hash(path: Path, algorithm: str) -> str:
    """Return the digest of a file in hexadecimal; ``algorithm`` as `hashlib` names it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def verify(path: Path, checksum: str) -> None:
    """Check a file against ``"sha256:…"`` or ``"md5:…"``.

    Raises:
        HearlessError: it is another file (both digests are given), or the checksum is of no known kind.
    """
    algorithm, _, expected = checksum.partition(":")
    if algorithm not in ("sha256", "md5") or not expected:
        raise HearlessError(f"checksum must be 'sha256:…' or 'md5:…', got {checksum!r}; correct the table.")
    found = file_hash(path, algorithm)
    if found != expected.lower():
        raise HearlessError(
            f"{path.name} must have {algorithm} {expected}, got {found}: it is damaged or another file. "
            f"Delete {path} if it is there and download it again; if it stays so, do not use it."
        )


def fetch(remote: Remote, folder: Path, *, confirm: Confirm | None = None, progress: bool = True) -> Path:
    """Return the verified file ``folder / remote.filename``, downloaded if it is not there.

    Where no checksum is published, ``confirm`` is asked with the SHA-256 of what arrived; what it accepted is
    remembered beside the file.  With ``remote.unpack`` the archive is unpacked into ``folder``, which is returned.

    Args:
        remote: what to fetch.
        folder: where to; made if missing.
        confirm: answers a yes-or-no question; None answers no.
        progress: draw a bar on a terminal's standard error.

    Raises:
        HearlessError: no connection, HTTP error, truncated or tampered file, full disk, refusal, unsafe archive.
    """
    check_inside(remote.filename, remote.filename)
    path = folder / remote.filename
    if path.exists():
        accept(remote, path, path, confirm)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        with explained(remote.url, folder), tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as partial:
            arrived = Path(partial) / path.name
            retrieve(remote.url, arrived, progress=progress)
            accept(remote, arrived, path, confirm)
            path.parent.mkdir(parents=True, exist_ok=True)
            arrived.replace(path)
    return unpack(path, folder) if remote.unpack else path


def accept(remote: Remote, arrived: Path, path: Path, confirm: Confirm | None) -> None:
    """Verify the file at ``arrived``, or ask; remember beside ``path`` what was accepted without a checksum."""
    beside = path.with_name(f".{path.name}.sha256")
    if remote.checksum is not None:
        verify(arrived, remote.checksum)
    elif beside.exists():
        verify(arrived, f"sha256:{beside.read_text(encoding='ascii').strip()}")
    else:
        digest = sha256(arrived)
        ask(remote, digest, confirm)
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(digest + "\n", encoding="ascii")


def ask(remote: Remote, digest: str, confirm: Confirm | None) -> None:
    """Ask whether to use a file that nobody published a checksum of."""
    question = f"{remote.url} has no published checksum; what arrived has SHA-256 {digest}. Use it?"
    if confirm is None or not confirm(question):
        raise HearlessError(
            f"{remote.filename} has no published checksum and was not confirmed; its SHA-256 is {digest}. Compare it "
            f"with its authors' ({remote.url}) and confirm."
        )


def retrieve(url: str, path: Path, *, progress: bool) -> None:
    """Write what ``url`` answers to ``path``; raises `OSError` where it fails or breaks off."""
    columns = TextColumn(path.name), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not progress) as drawn:
        bar = Bar(drawn, drawn.add_task(path.name, total=None))
        pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK_BYTES, timeout=TIMEOUT_S)(url, str(path), None)


class Bar:
    """A rich task behind the four names that pooch wants of a progress bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self.progress, self.task, self.total = progress, task, 0

    def update(self, n_bytes: int) -> None:
        """Advance."""
        self.progress.update(self.task, advance=n_bytes, total=self.total or None)

    def reset(self) -> None:
        """Start again from nothing."""
        self.progress.reset(self.task)

    def close(self) -> None:
        """Do nothing: whoever made the bar closes it."""


@contextmanager
def explained(what: str, folder: Path) -> Iterator[None]:
    """Turn what the network or the disk refuses into a `HearlessError` with the address and a remedy."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = (
            f"Free some space on the disk of {folder}, or set HEARLESS_CACHE to a folder on another"
            if full
            else f"Check the connection and try again, or put the file into {folder} by hand"
        )
        raise HearlessError(f"{what} could not be stored in full: {error}. {remedy}.") from error


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a zip or tar archive into ``folder``, once; return the folder.

    The whole archive is unpacked aside before its files are moved in.

    Raises:
        HearlessError: neither zip nor tar, damaged, or with a member that would land outside the folder.
    """
    done = archive.with_name(f".{archive.name}.unpacked")
    if done.exists() and done.stat().st_mtime_ns >= archive.stat().st_mtime_ns:
        return folder
    with explained(archive.name, folder), tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as aside:
        extract(archive, Path(aside))
        move_into(Path(aside), folder)
    done.touch()
    return folder


def extract(archive: Path, aside: Path) -> None:
    """Extract every member of ``archive`` below ``aside``, or nothing outside it."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                for name in zipped.namelist():
                    check_inside(name, archive.name)
                    zipped.extract(name, aside)
        else:
            with tarfile.open(archive) as tarred:
                for name in tarred.getnames():
                    check_inside(name, archive.name)
                tarred.extractall(aside, filter="data")
    except DAMAGED as error:
        raise HearlessError(
            f"{archive.name} must be a whole zip or tar archive that stays in its folder, got: {error}. "
            f"Delete {archive} and fetch it again."
        ) from error


def check_inside(name: str, source: str) -> None:
    """Refuse a file name that would leave its folder."""
    parts = (*PurePosixPath(name).parts, *PureWindowsPath(name).parts)
    if not name or ".." in parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor:
        raise HearlessError(f"{source}: names must stay inside their folder, got {name!r}; do not use this file.")


def move_into(aside: Path, folder: Path) -> None:
    """Move every file below ``aside`` to the same place below ``folder``, over what is there."""
    for source in sorted(aside.rglob("*")):
        target = folder / source.relative_to(aside)
        if source.is_dir() and not source.is_symlink():
            target.mkdir(parents=True, exist_ok=True)
        else:
            source.replace(target)
