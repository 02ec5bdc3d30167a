"""Reads a page as a person would: its words, its cells, what it loads from elsewhere, and what a browser says of it."""

from __future__ import annotations

import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

VOID = {"meta", "link", "img", "br", "path", "rect", "polyline"}
UNSEEN = {"script", "style", "title"}


class Reader(HTMLParser):
    """Collects a page's parts and insists that every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag in ("td", "th"):
            self.cells.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not UNSEEN & set(self.open):
            self.words += data + " "
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data


LISTEN = """<script>
window.addEventListener("load", function () {
  var sounds = Array.prototype.slice.call(document.querySelectorAll("audio"));
  Promise.all(sounds.map(function (sound) {
    return new Promise(function (done) {
      sound.addEventListener("loadedmetadata", function () { done(sound.duration.toFixed(2)); });
      sound.addEventListener("error", function () { done("error"); });
      sound.load();
    });
  })).then(function (lengths) {
    var wide = Array.prototype.map.call(document.images, function (image) { return image.naturalWidth; });
    document.body.setAttribute("data-heard", lengths.join(" "));
    document.body.setAttribute("data-seen", wide.join(" "));
  });
});
</script>"""
"""What a test adds to a page: lengths of its sounds in s and widths of its pictures, as the browser finds them."""


def browse(file: Path, folder: Path) -> tuple[str, list[str]]:
    """Return a page after headless Chromium has run it, and the lines of its console; skip where there is none."""
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no chromium on PATH (on Debian: apt-get install chromium)")
    opened = folder / "opened.html"
    opened.write_text(file.read_text(encoding="utf-8").replace("</body>", LISTEN + "</body>"), encoding="utf-8")
    options = (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr",
        "--virtual-time-budget=10000", f"--user-data-dir={folder / 'profile'}", "--dump-dom",
    )  # fmt: skip
    done = subprocess.run(
        [browser, *options, opened.as_uri()], capture_output=True, text=True, check=True, timeout=180
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
