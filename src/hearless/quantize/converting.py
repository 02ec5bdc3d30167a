"""A prepared network → int8: integer weights, quantizers and dequantizers."""

from __future__ import annotations

import copy

from hearless.interfaces import HearlessError
from hearless.quantize.folding import fold
from hearless.quantize.graphs import allow_modes, drop_unused, set_mode, without_gradients
from hearless.quantize.network import Quantized
from hearless.quantize.runtimes import quiet


@quiet()
def convert(prepared: Quantized) -> Quantized:
    """Return a copy in int8: integer weights, quantizers and dequantizers; for evaluation and export.

    Raises:
        HearlessError: it is in int8 already.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    if prepared.stage == "int8":
        raise HearlessError("convert takes what prepare_qat or prepare_ptq returned, got a network in int8 already.")
    made = copy.deepcopy(prepared).eval()
    set_mode(made.graph, training=False, norms_frozen=True, ranges_frozen=True)
    fold(made.graph)
    without_gradients(made.graph)
    made.graph, made.stage = convert_pt2e(made.graph), "int8"
    allow_modes(made.graph)
    drop_unused(made.graph)
    return made.eval()
