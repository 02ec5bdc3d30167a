"""A classifier in int8: trained with it (QAT) or converted afterwards (PTQ), through torchao's PT2E flow.

Weights per channel, activations per tensor, batch norms folded into their convolutions.  The paper (004, §II.C) says
"QAT"; the recipe is that of CP-Mobile (Schmid et al., DCASE 2023): ranges and batch norms learn at first and are frozen
for the last epochs, and Residual Normalization stays float between a dequantizer and a quantizer.  Only the classifier
is quantized: front end, enhancer and head stay float, and what augments its features happens outside of the graph.

A `Quantized` is called as the classifier was, but it is another network: other keys, its own optimiser.  Make it anew
wherever a quantized stage begins or is resumed, then load its state.

torchao's own rewriting knows only the default ``eps`` and ``momentum`` of batch norms and takes half a minute to fold
them; both are done here.
"""

from __future__ import annotations

from hearless.quantize.converting import convert
from hearless.quantize.graphs import BATCH_NORM, DROPOUT
from hearless.quantize.network import Quantized, count_parameters, n_int8, restore
from hearless.quantize.preparing import AS_FLOAT, calibrate, freeze_norms, freeze_ranges, prepare_ptq, prepare_qat
from hearless.quantize.runtimes import BACKENDS, FLOAT, check_backend, inside_float, quiet

__all__ = [
    "AS_FLOAT",
    "BACKENDS",
    "BATCH_NORM",
    "DROPOUT",
    "FLOAT",
    "Quantized",
    "calibrate",
    "check_backend",
    "convert",
    "count_parameters",
    "freeze_norms",
    "freeze_ranges",
    "inside_float",
    "n_int8",
    "prepare_ptq",
    "prepare_qat",
    "quiet",
    "restore",
]
