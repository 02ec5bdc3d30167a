"""Paper 000: born-again (BASD) and cross-sampling-rate (CSSD) self-distillation for 1–2 kHz sound."""
