"""The runtimes that int8 networks are made for, each with its quantizer of torchao."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import fx, nn

from hearless.classifiers.ds_flexinet import ResidualNorm
from hearless.interfaces import HearlessError

BACKENDS = ("onnx", "executorch")


FLOAT: tuple[type[nn.Module], ...] = (ResidualNorm,)
"""Modules that stay float."""


SMALLEST_SCALE = 2.0**-12


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what torch, torchao and ExecuTorch tell of their own workings off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def check_backend(backend: str) -> None:
    """Refuse a backend that is unknown or whose packages are missing.

    Raises:
        HearlessError: says which.
    """
    with quiet():
        quantizer(backend, qat=True)


def quantizer(backend: str, *, qat: bool) -> Any:
    """Return the quantizer of a runtime: per-channel weights, and nothing inside of `FLOAT` (x86 takes none of it)."""
    if backend not in BACKENDS:
        raise HearlessError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}.")
    try:
        return _x86(qat) if backend == "onnx" else _xnnpack(qat)
    except ImportError as error:
        raise HearlessError(f"int8 for {backend} needs more: pip install 'hearless[{backend}]' ({error}).") from error


def _x86(qat: bool) -> Any:
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    settings = x86.get_default_x86_inductor_quantization_config(is_qat=qat)
    return x86.X86InductorQuantizer().set_global(_learning(settings) if qat else settings)


def _xnnpack(qat: bool) -> Any:
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer as xnnpack

    settings = xnnpack.get_symmetric_quantization_config(is_per_channel=True, is_qat=qat)
    quantizer = xnnpack.XNNPACKQuantizer().set_global(_learning(settings) if qat else settings)
    return quantizer.set_filter_function(lambda node: not inside_float(node))


def _learning(settings: Any) -> Any:
    """Return a quantizer's settings with fake quantizers whose scales are those that `convert` writes.

    The default, fused ones divide by 127 (or 128) in training, where the conversion divides by 127.5.
    """
    from torchao.quantization.pt2e import (
        FakeQuantize,
        MovingAverageMinMaxObserver,
        MovingAveragePerChannelMinMaxObserver,
    )

    def made(spec: Any, observer: Any) -> Any:
        return replace(spec, observer_or_fake_quant_ctr=FakeQuantize.with_args(observer=observer, eps=SMALLEST_SCALE))

    activation = made(settings.input_activation, MovingAverageMinMaxObserver)
    return replace(
        settings,
        input_activation=activation,
        output_activation=None if settings.output_activation is None else activation,
        weight=made(settings.weight, MovingAveragePerChannelMinMaxObserver),
    )


def inside_float(node: fx.Node) -> bool:
    """Say whether a node of a captured graph lies in a module that stays float."""
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in FLOAT}
    return any(kind in names for _, kind in node.meta.get("nn_module_stack", {}).values())
