"""The augmentations shelf: one class a file; the folder is the registry."""
