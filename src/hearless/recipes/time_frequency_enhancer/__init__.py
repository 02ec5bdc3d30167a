"""Recipes and studies of paper 002: TFE(n)-EfficientNetV2 taught by AST through CMKD, and the enhancer at low rates."""
