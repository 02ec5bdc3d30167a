"""``python -m hearless.cli`` is ``hearless``."""

from __future__ import annotations

from hearless.cli import main

if __name__ == "__main__":
    main()
