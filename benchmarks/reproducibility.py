"""Which bits of PyTorch's results change with layout, threads and batch, per operation.

    python benchmarks/reproducibility.py [NAME…] [--dtype float32] [--jobs 1]

Prints, for each property, how many operations it changes bits of, and those that change most: the share of the elements
of an output that differ, and how far apart they are at worst, in ulps. Nothing of it is timing: it can run beside other
work, and gives the same on the same machine, PyTorch and number of cores.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from functools import partial

from gradcheck.reference.registry import Reference, select
from gradcheck.run.parallel import in_processes
from gradcheck.run.reproducing import reproduced
from gradcheck.verdict.bits import Found, broken_promises

LISTED = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--cases", type=int, default=2, help="drawn cases beside the plain ones")
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args()
    chosen = [(entry.name, asked.dtype) for entry in select(asked.names) if isinstance(entry, Reference)]
    by_property: dict[str, list[Found]] = defaultdict(list)
    for some in in_processes(partial(reproduced, drawn=asked.cases, seed=0), chosen, asked.jobs):
        for found in some:
            by_property[found.property].append(found)
    for name, found in by_property.items():
        _print(name, found)
    broken = broken_promises([found for some in by_property.values() for found in some])
    print(f"\npromises that do not hold: {len(broken)}")


def _print(name: str, found: list[Found]) -> None:
    """One line for a property, and one for each of the operations that change most."""
    compared = [one for one in found if one.outcome in ("same", "differs")]
    differing = sorted((one for one in compared if one.outcome == "differs"), key=lambda one: -one.share)
    refused = [one.operation for one in found if one.outcome in ("raises", "unsupported")]
    print(f"\n{name}: bits differ in {len(differing)} of {len(compared)} operations")
    for one in differing[:LISTED]:
        print(f"  {one.operation:45} {one.share:7.2%} of {', '.join(one.outputs)}, at worst {one.ulp:.3g} ulp")
    if len(differing) > LISTED:
        print(f"  and {', '.join(one.operation.rpartition('.')[2] for one in differing[LISTED:])}")
    if refused:
        print(f"  refused: {', '.join(refused)}")


if __name__ == "__main__":
    main()
