"""What paper 003's published code does otherwise than the paper says, for ``protocol=as_released``.

Read from the code's repository; every quirk is either kept in all protocols, made on request, or named as left out.
"""

from __future__ import annotations

from dataclasses import replace

from hearless.pipeline import PipelineSpec
from hearless.recipes.spectral_transcoder.settings import Settings

MISREAD_HZ = 16000
"""Rate of the sound that the code's head experiment takes for 32 kHz sound."""

KEPT = (
    "Tukey window where the paper says rectangular, neighbouring bands share a cell",
    "no square root in the pseudo-inverse of YAMNet, whose own features are magnitudes",
    "KL divided by the number of classes, of scores that sum to no 1",
)
"""Quirks of every protocol."""

MADE = ("each clip divided by its largest absolute value (the paper says so too)",)
MADE_OF_HEADS = (
    "UrbanSound8K without clips of less than a second (by its table)",
    "heads trained on all training clips, the last epoch taken: nothing chosen on validation",
    "heads hear levels transcoded second by second",
)
MADE_OF_YAMNET = ("YAMNet's heads hear levels of 16 kHz sound whose samples were taken for 32 kHz ones (a slip)",)
LEFT_OUT = (
    "every second of a file in each epoch (here one random second: ten times the epochs are as many steps on TAU 2020)",
    "EfficientNet's ImageNet weights, its Mel resized to 101 × 64 and its scores clamped in place of a sigmoid",
    "librosa's resampler",
)
LEFT_OUT_OF_HEADS = (
    "levels of each second measured by itself, its end filled up with zeros",
    "YAMNet's heads of the sound: the mean of whole seconds (here of patches every 0.48 s)",
    "SONYC-UST: the mean of all annotators where a verified truth exists; areas by trapezoids",
)


def view_of_head(settings: Settings, view: PipelineSpec) -> PipelineSpec:
    """Return what a head hears, with the quirks of the code's head experiment; the sound itself as it was."""
    if view.enhancer is None:
        return view
    apart = replace(view, enhancer=view.enhancer.replace(seconds_apart=True))
    if settings.backbone.name != "yamnet":
        return apart
    seconds = apart.classifier.replace(hop_frames=96)
    return replace(apart, capture=apart.capture.replace(misread_hz=MISREAD_HZ), classifier=seconds)


def notes(settings: Settings, *, heads: bool) -> tuple[str, ...]:
    """Return what a table with this protocol says of the quirks; nothing for another protocol."""
    if not settings.as_released:
        return ()
    of_yamnet = MADE_OF_YAMNET if settings.backbone.name == "yamnet" else ()
    made = (*MADE, *MADE_OF_HEADS, *of_yamnet) if heads else MADE
    left = (*LEFT_OUT, *LEFT_OUT_OF_HEADS) if heads else LEFT_OUT
    name = settings.backbone.name
    return (
        f"As released, {name}: {'; '.join(made)}.", f"Kept in every protocol: {'; '.join(KEPT)}.",
        f"Of the released code left out: {'; '.join(left)}.",
    )  # fmt: skip
