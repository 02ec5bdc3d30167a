"""What pictures cost before they are drawn."""

from __future__ import annotations

import subprocess
import sys


def test_matplotlib_is_imported_only_to_draw() -> None:
    code = "import sys, hearless.pictures; print('matplotlib' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
