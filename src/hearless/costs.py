"""What it costs to train and to run a recipe's student: parameters, multiply-accumulates, resident memory.

Counts need no training.  The peak of the resident memory is measured: a fresh process on the CPU builds the student,
trains three steps of its last stage on noise, at the recipe's batch size and clip length, and says how much it has held
at most (``VmHWM``: Python, torch and their libraries included).  Teachers, sound and validation are not in it.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from hearless.complexity import complexity
from hearless.interfaces import HearlessError
from hearless.pipeline import Pipeline
from hearless.recipe import Recipe, recipe_from_json
from hearless.run import write_json
from hearless.spec import digest
from hearless.study import MACS, MEMORY, PARAMETERS, TRAINED
from hearless.train import noise, put_adapters, wake

STEPS = 3
MILLION = 1e6


def counted(
    recipe: Recipe, labels: Sequence[str], clip_s: float, wanted: Sequence[str] = (PARAMETERS, TRAINED, MACS)
) -> dict[str, float]:
    """Return thousands of parameters, of those that train (at most, in any stage), and millions of MACs a clip."""
    plain, found = _fresh(recipe, labels).eval(), {}
    if PARAMETERS in wanted:
        found[PARAMETERS] = sum(p.numel() for p in plain.parameters()) / 1000
    if TRAINED in wanted:
        each = [_trained(recipe, labels, number) for number in range(len(recipe.stages))]
        found[TRAINED] = max(each, default=0) / 1000
    if MACS in wanted:
        found[MACS] = complexity(plain, noise(plain, clip_s)[:1]).macs / MILLION
    return found


def _fresh(recipe: Recipe, labels: Sequence[str]) -> Pipeline:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return recipe.student.build(len(labels), labels)


def _trained(recipe: Recipe, labels: Sequence[str], number: int) -> int:
    """Return how many parameters a stage trains."""
    pipeline, stage = _fresh(recipe, labels), recipe.stages[number]
    if stage.adapters:
        put_adapters(pipeline, recipe, stage, 0)
    return sum(parameter.numel() for parameter in wake(pipeline, recipe, stage))


def memory_mb(recipe: Recipe, labels: Sequence[str], clip_s: float) -> float:
    """Return the peak of a fresh training process's resident memory in MB; NaN where the system does not tell it.

    Raises:
        HearlessError: that process failed.
    """
    asked = json.dumps({"recipe": recipe.to_json(), "labels": list(labels), "clip_s": clip_s})
    done = subprocess.run(
        [sys.executable, "-m", "hearless.costs"], input=asked, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise HearlessError(
            f"memory could not be measured: the process that trains three steps ended with {done.returncode}: "
            f"{done.stderr.strip().splitlines()[-1:]}."
        )
    return float(json.loads(done.stdout.splitlines()[-1]))


def costs(
    recipe: Recipe, labels: Sequence[str], clip_s: float, wanted: Sequence[str], folder: Path
) -> dict[str, float]:
    """Return what is wanted of a recipe's costs, by the names of `hearless.study.COSTS`; memory is measured once.

    ``folder`` keeps what was measured, by what it depends on: student, last stage, batch size, clips and classes.
    """
    found = counted(recipe, labels, clip_s, wanted)
    if MEMORY in wanted:
        stage = {key: value for key, value in recipe.to_json()["stages"][-1].items() if key != "objectives"}
        key = digest([recipe.student.to_json(), stage, recipe.batch_size, clip_s, len(labels)])
        found[MEMORY] = _kept(folder / f"{key}.json", recipe, labels, clip_s)
    return {name: found[name] for name in wanted}


def _kept(path: Path, recipe: Recipe, labels: Sequence[str], clip_s: float) -> float:
    if not path.is_file():
        write_json(path, {"memory_mb": memory_mb(recipe, labels, clip_s)})
    return float(json.loads(path.read_text())["memory_mb"])


def train_three_steps(asked: Mapping[str, Any]) -> float:
    """Train three steps on noise and return this process's peak resident memory in MB; NaN where nobody tells it."""
    recipe = recipe_from_json(asked["recipe"])
    pipeline, stage = _fresh(recipe, asked["labels"]), recipe.stages[-1]
    if stage.adapters:
        put_adapters(pipeline, recipe, stage, 0)
    pipeline.on("cpu")
    parameters = wake(pipeline, recipe, stage)
    optimizer = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[stage.optimizer](parameters, fused=True)
    with torch.no_grad():
        one = pipeline.features(noise(pipeline, asked["clip_s"])[:1])
        features = one.expand(recipe.batch_size, *one.shape[1:]) + 0.1 * torch.randn(recipe.batch_size, *one.shape[1:])
    for _ in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(pipeline.judge(features).logits.logsumexp(1).mean())
        optimizer.step()
    return _peak_mb()


def _peak_mb() -> float:
    """Return the high-water mark of this process's resident memory; Linux's ``ru_maxrss`` is the parent's at first."""
    status = Path("/proc/self/status")
    if status.is_file():
        return next(int(line.split()[1]) * 1024 / 1e6 for line in status.read_text().splitlines() if "VmHWM" in line)
    try:
        import resource
    except ImportError:
        return math.nan
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    print(json.dumps(train_three_steps(json.load(sys.stdin))))
