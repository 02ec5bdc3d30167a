"""One self-contained HTML page: tables, curves, a confusion matrix, bars, pictures and sound, nothing from outside.

Every function returns a piece of HTML with all text escaped; `page` puts pieces together.  Curves are drawn as SVG,
bars and matrices as tables, pictures and sound are data URIs, so the file can be mailed and opened anywhere.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from hearless.interfaces import HearlessError
from hearless.report import KINDS, Report, show
from hearless.statistics import Measure

LINES = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22")
WIDTH, HEIGHT, LEFT, BELOW = 640, 260, 56, 36

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0; }
th, td { padding: .2rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #eee; }
th { border-bottom: 1px solid #888; white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; } tr.grey td { color: #999; }
code { background: #f3f3f3; padding: .1rem .3rem; overflow-wrap: anywhere; }
pre { background: #f3f3f3; padding: .6rem; overflow-x: auto; }
img, svg { max-width: 100%; height: auto; } figure { margin: 1rem 0; } figure img { cursor: pointer; }
td.bar { text-align: left; min-width: 16rem; } td.bar svg { vertical-align: middle; width: 16rem; height: 1em; }
.matrix td { text-align: center; padding: .15rem .35rem; } .matrix th { font-weight: normal; }
.matrix td:first-child { text-align: left; }
""".strip()

SCRIPT = """
document.addEventListener("click", function (event) {
  var figure = event.target.closest && event.target.closest("figure");
  var sound = figure && event.target.tagName === "IMG" && figure.querySelector("audio");
  if (!sound) { return; }
  if (sound.paused) { var played = sound.play(); if (played) { played.catch(function () {}); } } else { sound.pause(); }
});
""".strip()


def page(title: str, *pieces: str) -> str:
    """Return a whole page of pieces."""
    head = f'<meta charset="utf-8"><title>{_text(title)}</title>'
    head += '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
    body = "\n".join((f"<h1>{_text(title)}</h1>", *filter(None, pieces)))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}<style>\n{STYLE}\n</style></head>\n<body>\n{body}\n'
        f"<script>\n{SCRIPT}\n</script></body></html>\n"
    )


def section(heading: str, *pieces: str, level: int = 2) -> str:
    """Return pieces under a heading; nothing where all of them are empty."""
    kept = [piece for piece in pieces if piece]
    return "\n".join([f"<h{level}>{_text(heading)}</h{level}>", *kept]) if kept else ""


def paragraph(text: str) -> str:
    """Return a paragraph; nothing for an empty text."""
    return f"<p>{_text(text)}</p>" if text else ""


def bullets(lines: Iterable[str]) -> str:
    """Return a list."""
    items = "".join(f"<li>{_text(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def facts(named: Mapping[str, str]) -> str:
    """Return names and values, commands and the like, that can be copied."""
    items = "".join(f"<li>{_text(name)}: <code>{_text(value)}</code></li>" for name, value in named.items())
    return f"<ul>{items}</ul>" if items else ""


def folded(summary: str, text: str) -> str:
    """Return a long text that opens when its summary is clicked."""
    return f"<details><summary>{_text(summary)}</summary><pre>{_text(text)}</pre></details>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, grey: Iterable[int] = ()) -> str:
    """Return a table; the rows numbered in ``grey`` step back."""
    pale = set(grey)
    top = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    lines = [
        ('<tr class="grey">' if i in pale else "<tr>") + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>"
        for i, row in enumerate(rows)
    ]
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def image(path: Path, alt: str = "") -> str:
    """Return a PNG or SVG file inside the page.

    Raises:
        HearlessError: another kind of file, or it cannot be read.
    """
    kinds = {".png": "image/png", ".svg": "image/svg+xml"}
    if path.suffix.lower() not in kinds:
        raise HearlessError(f"{path} must be a PNG or SVG picture; draw it again with such an ending.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise HearlessError(f"{path} cannot be read ({error}); draw it again.") from error
    return f'<img alt="{_text(alt or path.stem)}" src="{_uri(kinds[path.suffix.lower()], content)}">'


def playing(picture: str, samples: NDArray[Any], rate_hz: int, caption: str) -> str:
    """Return a picture of a sound that plays it when it is clicked, with controls below.

    Args:
        picture: from `image`.
        samples: ``[time]``, -1 … 1; beyond is clipped.
        rate_hz: of the samples; browsers play 8 to 96 kHz.
        caption: what it is.
    """
    if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all() or not 8000 <= rate_hz <= 96000:
        raise HearlessError(
            f"{caption}: sound must be finite samples [time] at 8 to 96 kHz, got shape {samples.shape} at {rate_hz} Hz."
        )
    content = io.BytesIO()
    soundfile.write(content, np.clip(samples, -1.0, 1.0), rate_hz, format="WAV", subtype="PCM_16")
    sound = f'<audio controls preload="metadata" src="{_uri("audio/wav", content.getvalue())}"></audio>'
    return f"<figure>{picture}<br>{sound}<figcaption>{_text(caption)}</figcaption></figure>"


def confusion(true: NDArray[Any], said: NDArray[Any], labels: Sequence[str]) -> str:
    """Return how often each class (a row) was taken for each (a column), shaded by its share of the row.

    Args:
        true: class numbers ``[clip]``.
        said: class numbers ``[clip]``.
        labels: the classes.
    """
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(counts, (true, said), 1)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    head = "".join(f'<th title="{_text(label)}">{i}</th>' for i, label in enumerate(labels, 1))
    lines = [
        f"<tr><td>{i}&ensp;{_text(label)}</td>{''.join(map(_shaded, counts[i - 1], shares[i - 1]))}</tr>"
        for i, label in enumerate(labels, 1)
    ]
    return (
        '<div class="wide"><table class="matrix"><thead><tr><th>true \\ said</th>'
        f"{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _shaded(count: int, share: float) -> str:
    colour = f"background:rgba(31,119,180,{share:.2f});color:{'#fff' if share > 0.6 else '#000'}"
    return f'<td style="{colour}">{int(count) or ""}</td>'


def bars(measures: Mapping[str, Measure], unit: str = "%", *, name: str = "class") -> str:
    """Return measures as bars from 0 to 1 with their intervals, greatest first."""
    known = {label: one for label, one in measures.items() if not math.isnan(one.value)}
    ranked = sorted(known, key=lambda label: -known[label].value)
    lines = [
        f"<tr><td>{_text(label)}</td><td>{_text(show(known[label], unit))}</td>"
        f'<td class="bar">{_bar(known[label])}</td></tr>'
        for label in ranked
    ]
    top = f"<th>{_text(name)}</th><th>{_text(unit)}</th><th></th>"
    return f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table>" if lines else ""


def _bar(one: Measure) -> str:
    drawn = f'<rect width="{100 * max(0.0, one.value):.1f}" height="10" fill="#9ecae1"/>'
    if not math.isnan(one.low) and not math.isnan(one.high):
        drawn += f'<path d="M{100 * one.low:.1f} 5H{100 * one.high:.1f}" stroke="#000"/>'
    return f'<svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img">{drawn}</svg>'


def curves(lines: Mapping[str, Sequence[float]], *, along: str = "epoch", up: str = "") -> str:
    """Return values against their number from 1 on, a line each, NaN left out; nothing where no line has a point."""
    points = {name: [(i, float(v)) for i, v in enumerate(line, 1) if math.isfinite(v)] for name, line in lines.items()}
    points = {name: line for name, line in points.items() if line}
    if not points:
        return ""
    every = [point for line in points.values() for point in line]
    last, low, high = max(2, max(x for x, _ in every)), min(y for _, y in every), max(y for _, y in every)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)

    def place(x: float, y: float) -> str:
        across, down = (x - 1) / (last - 1), (high - y) / (high - low)
        return f"{LEFT + across * (WIDTH - LEFT - 10):.1f},{10 + down * (HEIGHT - BELOW - 10):.1f}"

    drawn = [_axes(last, low, high, along, up)]
    for i, (name, line) in enumerate(points.items()):
        colour = LINES[i % len(LINES)]
        shape = " ".join(place(*point) for point in line)
        drawn.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{shape}"/>')
        if len(line) == 1:  # a line of one point is invisible
            across, down = shape.split(",")
            drawn.append(f'<circle cx="{across}" cy="{down}" r="3" fill="{colour}"/>')
        drawn.append(_legend(i, name, colour))
    height = HEIGHT + 18 * math.ceil(len(points) / 2)
    return f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img" font-size="12">{"".join(drawn)}</svg>'


def _axes(last: int, low: float, high: float, along: str, up: str) -> str:
    bottom, right = HEIGHT - BELOW, WIDTH - 10
    return (
        f'<path d="M{LEFT} 10V{bottom}H{right}" fill="none" stroke="#888"/>'
        f'<text x="{LEFT - 6}" y="14" text-anchor="end">{high:.3g}</text>'
        f'<text x="{LEFT - 6}" y="{bottom}" text-anchor="end">{low:.3g}</text>'
        f'<text x="{LEFT}" y="{bottom + 16}">1</text>'
        f'<text x="{right}" y="{bottom + 16}" text-anchor="end">{last}</text>'
        f'<text x="{(LEFT + right) / 2}" y="{bottom + 16}" text-anchor="middle">{_text(along)}</text>'
        f'<text x="12" y="{bottom / 2}" text-anchor="middle" transform="rotate(-90 12 {bottom / 2})">{_text(up)}</text>'
    )


def _legend(i: int, name: str, colour: str) -> str:
    x, y = LEFT + (i % 2) * (WIDTH - LEFT) // 2, HEIGHT + 18 * (i // 2)
    mark = f'<rect x="{x}" y="{y - 4}" width="14" height="3" fill="{colour}"/>'
    return f'{mark}<text x="{x + 20}" y="{y + 2}">{_text(name)}</text>'


def of_report(report: Report, *, grey: Iterable[int] = ()) -> tuple[str, ...]:
    """Return a report's table, remarks, tests, breakdowns and what made it."""
    tests = (table(*report.comparisons()), bullets(t.words for t in report.tests)) if report.tests else ()
    broken = [(kind, *report.breakdown(kind)) for kind in KINDS]
    return (
        paragraph(report.task),
        table(report.header(), report.cells(), grey=grey),
        bullets(report.remarks()),
        section("Paired tests", *tests),
        *(section(f"{report.columns[0]} per {kind}", table(head, rows)) for kind, head, rows in broken if rows),
        section("Made by", facts(report.provenance())),
    )


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _text(text: str) -> str:
    return html.escape(text, quote=True)
