"""The frontends shelf: one class a file; the folder is the registry."""
