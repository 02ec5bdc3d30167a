"""What a run tells of itself before it trains: its recipe, machine, clips, and what is measured on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hearless.augmentations.device_impulse_response import DeviceImpulseResponse, energy
from hearless.captures.third_octave import ThirdOctave
from hearless.lab.bench import Bench
from hearless.pipeline import Pipeline
from hearless.provenance import code_commit, environment
from hearless.recipe import Recipe
from hearless.run import Run

MEDIAN_CLIPS = 200
"""Training clips, at most, that a level sensor's median levels are measured on."""

ENERGY_CLIPS = 5000
"""Training clips, at most, whose energy is told."""

SILENT_DB = -100.0
"""A level below it is digital silence, which no meter writes."""


def write_facts(run: Run, recipe: Recipe, bench: Bench, pipeline: Pipeline) -> None:
    """Write what is known of a run before it trains."""
    run.write("recipe.json", recipe.to_json())
    run.write("environment.json", {**environment(), "commit": code_commit()})
    rows = {"training": bench.training, "validation": bench.validation, "test": bench.test}
    known = sorted({one[:16] for one in bench.table.hashes_of((*bench.training, *bench.validation))})
    groups = {side: sorted({c.group for c in clips}) for side, clips in rows.items()}
    run.write("clips.json", {**groups, "files": known})
    run.write("measured.json", {
        "labels": bench.labels, "multi_label": bool(recipe.classes) or bench.table.multi_label,
        "clip_s": bench.clip_s,
        "source_rate_hz": bench.store.rate_hz, "fold": bench.fold, "seed": bench.seed,
        "parameters": sum(p.numel() for p in pipeline.parameters()),
        "n_clips": {side: len(clips) for side, clips in rows.items()}, **_levels_fact(pipeline, bench),
        **_energy_fact(bench),
    })  # fmt: skip


def _levels_fact(pipeline: Pipeline, bench: Bench) -> dict[str, list[float | None]]:
    """Return each band's median level over some training clips where the sensor keeps levels, None where silent."""
    if not isinstance(pipeline.capture, ThirdOctave):
        return {}
    clips = bench.training[:: -(-len(bench.training) // MEDIAN_CLIPS)]
    heard = [pipeline.observe(batch.waveform, batch.rate_hz) for batch in bench.loader(clips).in_order()]
    levels = torch.cat(heard).mT.flatten(0, 1).double().numpy()
    loud = [band[band > SILENT_DB] for band in levels.T]  # not what is filled up with zeros
    return {"median_db": [round(float(np.median(band)), 1) if len(band) else None for band in loud]}


def _energy_fact(bench: Bench) -> dict[str, Any]:
    """Return how the training clips' energy lies about the threshold of paper 004's ADIR, where a recipe has one.

    Of 5,000 clips at most; the histogram's edges are decades of Σx² of one second at 32 kHz.
    """
    made = [spec.build() for spec in bench.recipe.augmentations]
    thresholds = [a.energy_threshold for a in made if isinstance(a, DeviceImpulseResponse) and a.energy_threshold]
    if not thresholds:
        return {}
    clips = bench.training[:: -(-len(bench.training) // ENERGY_CLIPS)]
    found = torch.cat([energy(batch.waveform) for batch in bench.loader(clips).in_order()]).double().numpy()
    edges = 10.0 ** np.arange(-4, 6)
    counts = np.histogram(np.clip(found, edges[0], edges[-1]), edges)[0]
    return {"energy": {
        "mean": float(found.mean()), "median": float(np.median(found)), "n_clips": len(found),
        "share_above": float((found > thresholds[0]).mean()), "edges": edges.tolist(), "counts": counts.tolist(),
    }}  # fmt: skip
