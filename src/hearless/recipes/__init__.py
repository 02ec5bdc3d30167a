"""Recipes and studies, a folder a system; loaded by name (`low_rate/table1`)."""
