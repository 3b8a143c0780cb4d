"""How long the report of 100,000 verdicts takes to write, and how large it is; tox -e browser says how long to open.

Usage: python benchmarks/report.py [--verdicts 100000]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from gradcheck.record.read import Record
from gradcheck.reference.registry import entries
from gradcheck.report.page import page
from tests.record.synthetic import record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--verdicts", type=int, default=100_000)
    wanted = parser.parse_args().verdicts
    names = list(entries())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "record.db"
        record(path, operations=names, cases=-(-wanted // (len(names) * 8)))  # four dtypes, two outputs
        for words, with_curves in (("without curves", False), ("with curves", True)):
            start = time.perf_counter()
            with Record(path) as source:
                text = page(source, source.run(), with_curves=with_curves)
                (count,) = next(source.rows("SELECT count(*) FROM verdicts"))
            seconds = time.perf_counter() - start
            print(f"{count:,} verdicts, {words}: {seconds:.1f} s, {len(text.encode()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
