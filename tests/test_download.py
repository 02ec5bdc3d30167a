"""Downloads from a server on this machine: whole, truncated, tampered, refused, unpacked."""

from __future__ import annotations

import errno
import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pooch
import pytest

from hearless.download import cache_folder, fetch, sha256, verify
from hearless.interfaces import HearlessError, Remote

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Answers what ``files`` holds; counts requests; ``cut`` names what breaks off half-way."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"good.bin": CONTENT, "cut.bin": CONTENT}
        self.requested: list[str] = []

    def remote(self, name: str, checksum: str | None = f"sha256:{DIGEST}", *, unpack: bool = False) -> Remote:
        return Remote(f"http://127.0.0.1:{self.server_port}/{name}", name, checksum, unpack)


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        self.server.requested.append(name)
        body = self.server.files.get(name)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if name == "cut.bin" else body)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def zipped(**files: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return held.getvalue()


def tarred(info: tarfile.TarInfo, body: bytes = b"") -> bytes:
    held = io.BytesIO()
    info.size = len(body)
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        archive.addfile(info, io.BytesIO(body))
    return held.getvalue()


def test_fetch_keeps_a_whole_file_and_does_not_ask_twice(server: Server, tmp_path: Path) -> None:
    remote = server.remote("good.bin")
    path = fetch(remote, tmp_path / "new" / "folder")
    assert path.read_bytes() == CONTENT
    assert left(tmp_path / "new" / "folder") == ["good.bin"]
    assert fetch(remote, path.parent) == path
    assert server.requested == ["good.bin"]


def test_md5_is_accepted(server: Server, tmp_path: Path) -> None:
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    assert fetch(server.remote("good.bin", f"md5:{md5}"), tmp_path, progress=False).read_bytes() == CONTENT


def test_truncated_answer_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match=r"cut\.bin could not be stored in full.*try again"):
        fetch(server.remote("cut.bin", None), tmp_path, confirm=lambda _: True)
    assert left(tmp_path) == []


def test_missing_file_names_address_and_remedy(server: Server, tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match=r"http://127\.0\.0\.1:\d+/none\.bin .*404.*by hand"):
        fetch(server.remote("none.bin"), tmp_path)
    assert left(tmp_path) == []


def test_tampered_answer_gives_both_digests(server: Server, tmp_path: Path) -> None:
    server.files["good.bin"] = CONTENT[:-1] + b"x"
    other = hashlib.sha256(server.files["good.bin"]).hexdigest()
    with pytest.raises(HearlessError, match=rf"{DIGEST}, got {other}.*download it again"):
        fetch(server.remote("good.bin"), tmp_path)
    assert left(tmp_path) == []


def test_tampered_file_on_disk_is_found(server: Server, tmp_path: Path) -> None:
    path = fetch(server.remote("good.bin"), tmp_path)
    path.write_bytes(CONTENT[1:])
    with pytest.raises(HearlessError, match=DIGEST):
        fetch(server.remote("good.bin"), tmp_path)
    assert server.requested == ["good.bin"]


def test_unknown_checksum_asks_once_and_remembers(server: Server, tmp_path: Path) -> None:
    asked: list[str] = []

    def yes(question: str) -> bool:
        asked.append(question)
        return True

    remote = server.remote("good.bin", None)
    path = fetch(remote, tmp_path, confirm=yes)
    fetch(remote, tmp_path)
    assert len(asked) == 1
    assert DIGEST in asked[0]
    path.write_bytes(b"changed since")
    with pytest.raises(HearlessError, match=DIGEST):
        fetch(remote, tmp_path, confirm=yes)


@pytest.mark.parametrize("confirm", [None, lambda _: False])
def test_unconfirmed_file_is_removed(server: Server, tmp_path: Path, confirm: None) -> None:
    with pytest.raises(HearlessError, match=rf"no published checksum.*{DIGEST}"):
        fetch(server.remote("good.bin", None), tmp_path, confirm=confirm)
    assert left(tmp_path) == []


def test_full_disk_says_so(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", full)
    with pytest.raises(HearlessError, match=r"good\.bin .*No space left.*HEARLESS_CACHE"):
        fetch(server.remote("good.bin"), tmp_path)
    assert left(tmp_path) == []


def test_interrupt_leaves_nothing(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object, url: str, output: str, pup: object) -> None:
        Path(output).write_bytes(CONTENT[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(server.remote("good.bin"), tmp_path)
    assert left(tmp_path) == []


def test_unpack_zip_once_and_merge(server: Server, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "mine.txt").write_text("kept")
    server.files["a.zip"] = zipped(**{"corpus/audio/1.wav": b"one", "corpus/meta.csv": b"two"})
    remote = server.remote("a.zip", f"sha256:{hashlib.sha256(server.files['a.zip']).hexdigest()}", unpack=True)
    assert fetch(remote, tmp_path) == tmp_path
    assert (tmp_path / "corpus" / "audio" / "1.wav").read_bytes() == b"one"
    assert (tmp_path / "corpus" / "mine.txt").read_text() == "kept"
    (tmp_path / "corpus" / "meta.csv").write_bytes(b"edited")
    fetch(remote, tmp_path)
    assert (tmp_path / "corpus" / "meta.csv").read_bytes() == b"edited"


def test_unpack_tar(server: Server, tmp_path: Path) -> None:
    server.files["a.tar.gz"] = tarred(tarfile.TarInfo("corpus/1.wav"), b"one")
    fetch(server.remote("a.tar.gz", None, unpack=True), tmp_path, confirm=lambda _: True)
    assert (tmp_path / "corpus" / "1.wav").read_bytes() == b"one"


def hostile() -> dict[str, bytes]:
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "../../outside"
    return {
        "up.zip": zipped(**{"../outside": b"bad"}),
        "root.zip": zipped(**{"/outside": b"bad"}),
        "drive.zip": zipped(**{"C:\\outside": b"bad"}),
        "up.tar": tarred(tarfile.TarInfo("a/../../outside"), b"bad"),
        "link.tar": tarred(link),
        "short.tar": tarred(tarfile.TarInfo("a"), CONTENT)[:-40],
        "none.zip": b"no archive at all",
    }


@pytest.mark.parametrize("name", sorted(hostile()))
def test_hostile_or_damaged_archive_is_refused(server: Server, tmp_path: Path, name: str) -> None:
    server.files[name] = hostile()[name]
    folder = tmp_path / "deep" / "er"
    with pytest.raises(HearlessError, match=r"must stay inside|must be a whole zip or tar"):
        fetch(server.remote(name, None, unpack=True), folder, confirm=lambda _: True)
    assert left(tmp_path) == sorted(["deep", "er", name, f".{name}.sha256"])


def test_file_name_stays_in_its_folder(tmp_path: Path) -> None:
    with pytest.raises(HearlessError, match="stay inside"):
        fetch(Remote("http://127.0.0.1:9/x", "../x", None), tmp_path)


def test_verify_against_known_digests(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert sha256(path) == known
    verify(path, f"sha256:{known.upper()}")
    with pytest.raises(HearlessError, match="sha256:…"):
        verify(path, "crc32:1234")


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEARLESS_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("HEARLESS_CACHE")
    assert "hearless" in str(cache_folder())
