"""Pure functions on tensors ``[..., time]``: scales, filter banks, spectra, resampling.

Nothing here is learned, nothing here knows a shelf.
"""
