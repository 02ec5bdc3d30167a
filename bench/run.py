"""``make bench``: measure speed and memory against a plain reference, print the table and write RESULTS.md.

``--quick`` takes few repeats and small sizes, to try the bench out, and leaves RESULTS.md alone.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import deploying
import enhancing
import footprint
import hearing
import level_logs
import studying
import teachers
import training
from measure import Row, table, write

RESULTS = Path(__file__).with_name("RESULTS.md")


def rows(folder: Path, quick: bool) -> Iterator[Row]:
    """Measure everything, one row after the other."""
    yield from hearing.rows(repeats=2 if quick else 9, n_clips=8 if quick else 32)
    yield from training.rows(folder, steps=2 if quick else 6, batch_size=8 if quick else 32)
    yield from enhancing.rows(repeats=1 if quick else 3)
    yield from level_logs.rows(repeats=2 if quick else 9, minutes=0.5 if quick else 2)
    yield from teachers.rows(folder / "teachers", repeats=1 if quick else 5, batch_size=8 if quick else 32)
    yield from deploying.rows(folder / "exports", repeats=2 if quick else 9)
    yield from studying.rows(folder / "studies", repeats=1 if quick else 2, n_clips=40 if quick else 80)
    yield from footprint.rows(folder, repeats=2 if quick else 5, long_s=600 if quick else 3600)


def main() -> None:
    """Run the bench from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes; RESULTS.md stays as it is")
    quick = parser.parse_args().quick
    load, found = os.getloadavg()[0], []
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(Path(folder), quick):
            print(" · ".join(row.cells()), flush=True)
            found.append(row)
    print("\n" + table(found))
    if not quick:
        write(RESULTS, found, load)


if __name__ == "__main__":
    main()
