"""The objectives shelf: one class a file; the folder is the registry."""
