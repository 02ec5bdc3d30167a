"""DS-FlexiNet on a device: ms a clip of 1 s, on one core, one clip at a time.

The network alone, the front end alone (its Fourier transform by onnxruntime's own operator, and by the matrix products
that exports have), and the whole file.  onnxruntime multiplies int8 in integers, or as the floats that they stand for,
which is what `hearless.artifact.Artifact` does unless it is told otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from measure import Row, Way, faster, in_turn, real_time, threads
from torch import Tensor, nn

from hearless.captures.full_band import FullBand
from hearless.classifiers.ds_flexinet import DSFlexiNet
from hearless.deploy import Network, rounded
from hearless.dsp import spectra
from hearless.exports import Whole
from hearless.exports._fusing import fuse_instance_norms
from hearless.frontends.preemphasis_mel import PreEmphasisMel
from hearless.pipeline import Pipeline
from hearless.quantize import quiet

RATE_HZ = 32000
FRONTEND: dict[str, Any] = {
    "input_rate_hz": RATE_HZ, "window_ms": 96.0, "hop_ms": 15.625, "fft_ms": 128.0, "mel_bands": 256,
    "high_hz": 15500.0,
}  # fmt: skip
"""Paper 004's: a Fourier transform of 4,096 samples."""


def pipeline(size: str) -> Pipeline:
    """Return DS-FlexiNet with random weights behind its front end."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = DSFlexiNet(size=size, n_classes=10)
    made = Pipeline(capture=FullBand(rate_hz=RATE_HZ), frontend=PreEmphasisMel(**FRONTEND), classifier=network)
    return made.eval()


def sound(n_clips: int, clip_s: float) -> Tensor:
    """Return white noise ``[clip, time]`` at 32 kHz."""
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(n_clips, round(clip_s * RATE_HZ), generator=generator)


@quiet()
def written(module: nn.Module, example: Tensor, file: Path) -> Path:
    """Write a module as ONNX for inputs like the example, as exports do."""
    import onnx

    graph = torch.export.export(module, (example,))
    program = torch.onnx.export(graph, (), dynamo=True, verbose=False, input_names=["given"], optimize=True)
    assert program is not None  # with dynamo=True
    model = program.model_proto
    fuse_instance_norms(model)
    onnx.save(model, str(file))
    return file


def runner(file: Path, example: Tensor, *, integer: bool = True) -> Way:
    """Return what runs a file on an example in onnxruntime, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.disable_quant_qdq", "0" if integer else "1")
    made = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return partial(made.run, None, {"given": example.numpy()})


def by_operator(frames: Tensor, tables: Any) -> Tensor:
    """Transform frames by the runtime's own operator, in the place of `fourier_parts`."""
    return torch.view_as_real(torch.fft.rfft(frames)).flatten(-2)


def ways(folder: Path, size: str, clip_s: float) -> dict[str, Way]:
    """Return everything that is timed, by name, each hearing one clip."""
    floating, clips = pipeline(size), sound(16, clip_s)
    integer, clip = rounded(floating, clips, "onnx"), clips[:1]
    features = floating.features(clip)
    int8 = written(Network(integer), features, folder / "int8.onnx")
    made = {
        "network fp32": (Network(floating), features),
        "front end by products": (floating.frontend, clip),
        "whole int8": (Whole(integer), clip),
    }
    found = {name: runner(written(*one, folder / f"{name}.onnx"), one[1]) for name, one in made.items()}
    with mock.patch.object(spectra, "fourier_parts", by_operator):
        operator = written(floating.frontend, clip, folder / "operator.onnx")
    return {
        **found,
        "network": lambda: floating.classifier(features),
        "network int8": runner(int8, features),
        "network int8 as floats": runner(int8, features, integer=False),
        "front end": lambda: floating.features(clip),
        "front end by operator": runner(operator, clip),
        "whole": lambda: floating(clip),
    }


COMPARED = (
    ("network int8", "network", "{size} alone, int8 ONNX / PyTorch fp32", "≥ 4"),
    ("network int8 as floats", "network", "{size} alone, int8 ONNX multiplied as floats / PyTorch fp32", ""),
    ("network fp32", "network", "{size} alone, fp32 ONNX / PyTorch fp32", ""),
    ("front end by products", "front end by operator", "front end at 32 kHz, DFT by products / onnxruntime's", ""),
    ("front end by products", "front end", "front end at 32 kHz, ONNX / PyTorch", ""),
    ("whole int8", "whole", "front end and {size}, int8 ONNX / PyTorch fp32", ""),
)
"""What is measured in turn: ours, the plain one, in words, the aim."""

REAL_TIME = {
    "network int8": ("{size} alone, int8 ONNX", "≥ 1000"),
    "whole int8": ("front end and {size}, int8 ONNX", ""),
}
"""What is held against real time as well."""


def rows(folder: Path, repeats: int, size: str = "sm2", clip_s: float = 1.0) -> Iterator[Row]:
    """Measure network, front end and whole file."""
    folder.mkdir(parents=True, exist_ok=True)
    found = ways(folder, size, clip_s)
    with threads(1), torch.inference_mode():
        for ours, plain, words, aim in COMPARED:
            times = in_turn(found[ours], found[plain], repeats)
            yield faster(f"{words.format(size=size)}, ms a clip", *times, scale=1000.0, aim=aim)
            if ours in REAL_TIME:
                words, wanted = REAL_TIME[ours]
                yield real_time(
                    f"{words.format(size=size)} / real time, ms a clip", times[0], clip_s, 1000.0 * clip_s, wanted
                )
