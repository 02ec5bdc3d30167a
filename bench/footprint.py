"""Peak memory of predicting a long file and a short one, and how long start-up takes; each in processes of its own.

Run as ``python bench/footprint.py FILE`` it is such a process: it predicts the file and prints its peak memory.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from measure import Row, Way, cost, in_turn

FILE_HZ = 8000
MIB = 2**20


def rows(folder: Path, repeats: int, long_s: int = 3600, short_s: int = 60) -> Iterator[Row]:
    """Measure memory and start-up."""
    yield from memory(folder, long_s, short_s)
    yield from startup(repeats)


def memory(folder: Path, long_s: int, short_s: int) -> Iterator[Row]:
    """Compare the peak of a long file with that of a short one: "plain" is the short one."""
    long, short = (_predicting(_recording(folder / f"{s}.wav", s)) for s in (long_s, short_s))
    lengths = f"a file of {long_s / 60:g} min / of {short_s / 60:g} min"
    yield cost(f"peak memory of predicting {lengths}, MiB", [long["peak"]], [short["peak"]], aim="≤ 1.2")
    over_long, over_short = ([found["peak"] - found["loaded"]] for found in (long, short))
    yield cost(f"the same over the loaded model, {lengths}, MiB", over_long, over_short)


def _recording(path: Path, length_s: int) -> Path:
    minute = (3000 * np.random.default_rng(0).standard_normal(60 * FILE_HZ)).clip(-32768, 32767).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(path, "w", FILE_HZ, 1, "PCM_16") as file:
        for start in range(0, length_s, 60):
            file.write(minute[: min(60, length_s - start) * FILE_HZ])
    return path


def _predicting(path: Path) -> dict[str, float]:
    found = subprocess.run([sys.executable, __file__, path], check=True, capture_output=True, text=True)
    return {name: float(value) for name, value in json.loads(found.stdout).items()}


def startup(repeats: int) -> Iterator[Row]:
    """Compare start-up with that of a bare interpreter, and the first use with importing torch."""
    code = {name: _python("-c", name) for name in ("pass", "import hearless", "import torch", "import hearless.door")}
    pairs = {
        "import hearless / a bare interpreter": (code["import hearless"], code["pass"]),
        "hearless --help / a bare interpreter": (_python("-m", "hearless.cli", "--help"), code["pass"]),
        "import hearless.door / import torch": (code["import hearless.door"], code["import torch"]),
    }
    for what, (ours, plain) in pairs.items():
        yield cost(f"{what}, ms", *in_turn(ours, plain, repeats), scale=1000.0)


def _python(*arguments: str) -> Way:
    return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def peak_mib() -> float:
    """Return this process's peak resident memory; Linux's own count, since ``ru_maxrss`` inherits the parent's."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    for line in lines:
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / MIB
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def main() -> None:
    """Predict one file and print the peak before and after."""
    from training import CLASSES, student

    from hearless.door import Model, predict

    labels = tuple(f"class{i}" for i in range(CLASSES))
    model = Model(student().on("cpu").eval(), labels, False, 5.0, "bench")
    loaded = peak_mib()
    (said,) = predict(model, sys.argv[1])
    if said.error:
        raise SystemExit(said.error)
    print(json.dumps({"loaded": loaded, "peak": peak_mib(), "heard_s": said.seconds}))


if __name__ == "__main__":
    main()
