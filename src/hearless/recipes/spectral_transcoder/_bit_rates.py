"""The bit rates of paper 003's Table 1, computed from the front ends: what a second of sound takes in each form.

The paper names no formula.  Sixteen bits a value, and the values of the whole frames in one second, give its numbers:
101 frames of PANN's Mel, 98 of YAMNet's (whole windows only, no padding) and 8 of the levels, and the 138 times fewer
bits than a recording that its introduction names.
"""

from __future__ import annotations

from dataclasses import dataclass

from hearless.classifiers._official import backbone
from hearless.dsp.octave_bands import INTERVALS, N_BANDS, RATE_HZ
from hearless.frontends import yamnet_mel

BITS = 16
YEAR_S = 365.25 * 86400.0


@dataclass(frozen=True)
class Form:
    """One way to keep a second of sound.

    Attributes:
        name: what it is.
        frames, bands: in a second; of sound its samples and 1.
        published: kb/s of paper 003's Table 1.
    """

    name: str
    frames: int
    bands: int = 1
    published: float | None = None

    @property
    def kb_s(self) -> float:
        """Thousands of bits a second at `BITS` bits a value."""
        return self.frames * self.bands * BITS / 1000.0

    @property
    def gb_a_year(self) -> float:
        """Billions of bytes that a year of it takes."""
        return self.kb_s * YEAR_S / 8e6


def mel(name: str) -> tuple[int, int]:
    """Return frames and bands of the Mel that a published classifier hears of one second."""
    frontend = backbone(name)[1].view.build()
    return frontend.axes(frontend.input_rate_hz).n_frames, frontend.n_bands


def levels(interval: str) -> tuple[int, int]:
    """Return frames and bands of one second's third-octave levels."""
    return INTERVALS[interval].n_frames(RATE_HZ), N_BANDS


def forms() -> tuple[Form, ...]:
    """Return the sound itself, the Mels of the frozen classifiers and the levels."""
    whole = 1 + (yamnet_mel.RATE_HZ - yamnet_mel.WINDOW) // yamnet_mel.HOP
    return (
        Form("sound, 32 kHz", RATE_HZ),
        Form("Mel of mn04", *mel("mn04")),
        Form("Mel of PANN ResNet38", *mel("resnet38"), published=103.0),
        Form("Mel of YAMNet", whole, yamnet_mel.N_BANDS, published=100.0),
        Form("third-octave levels, fast", *levels("fast"), published=3.71),
        Form("third-octave levels, slow", *levels("slow")),
    )


def table() -> str:
    """Return the bit rates beside the paper's as a Markdown table."""
    sound, *rest = forms()
    lines = ["| | values a second | kb/s | paper 003 | fewer than sound | GB a year |", "|:--|--:|--:|--:|--:|--:|"]
    lines.append(f"| {sound.name} | {sound.frames:,} | {short(sound.kb_s)} | | | {short(sound.gb_a_year)} |")
    for row in rest:
        said = "" if row.published is None else f"{row.published:g} "
        values, fewer = f"{row.frames} × {row.bands}", f"{short(sound.kb_s / row.kb_s)} ×"
        lines.append(f"| {row.name} | {values} | {short(row.kb_s)} | {said}| {fewer} | {short(row.gb_a_year)} |")
    return "\n".join(lines) + "\n"


def short(value: float) -> str:
    """Return three digits of a small number, all before the point of a large one."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
