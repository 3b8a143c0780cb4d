"""Which bits of PyTorch's results change with layout, threads and batch, per operation.

    python benchmarks/reproducibility.py [NAME…] [--dtype float32] [--jobs 1] [--markdown docs/reproducibility.md]

Prints, for each property, how many operations it changes bits of, and those that change most: the share of the elements
of an output that differ, and how far apart they are at worst, in ulps. Nothing of it is timing: it can run beside other
work, and gives the same on the same machine, PyTorch and number of cores.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from functools import partial
from pathlib import Path

from gradcheck.reference.registry import Reference, select
from gradcheck.run.parallel import in_processes
from gradcheck.run.reproducing import reproduced
from gradcheck.subject.facts import facts
from gradcheck.verdict.bits import Found, broken_promises

LISTED = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--cases", type=int, default=2, help="drawn cases beside the plain ones")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write it as a page of the documentation")
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
    if asked.markdown:
        asked.markdown.write_text(_page(by_property, len(broken), asked.dtype, asked.cases), encoding="utf-8")


PAGE = """# Which bits change

Written by `python benchmarks/reproducibility.py --dtype {dtype} --cases {cases} --markdown FILE` ({about}). Each
row compares pairs of runs of the same numbers that differ in one thing: value and gradients. `gradcheck reproduce NAME`
tells it of one operation. Whether a result is right is the question of `verify`; this is information, but for the same
call in one thread under `use_deterministic_algorithms`, for which PyTorch promises the same bits; {broken} operations
break that promise.

| what differs | operations with other bits | of | worst ulp | which (share of the elements of an output) |
|---|---|---|---|---|
"""


def _page(by_property: dict[str, list[Found]], broken: int, dtype: str, cases: int) -> str:
    """One row for each property, the operations that change most first."""
    known = facts("cpu")
    about = f"torch {known['torch']}, {known['cpu_capability']}"
    rows = []
    for name, found in by_property.items():
        compared, differing, _ = _sorted_out(found)
        listed = ", ".join(f"{one.operation.rpartition('.')[2]} {one.share:.0%}" for one in differing[:LISTED])
        more = f", and {len(differing) - LISTED} more" if len(differing) > LISTED else ""
        ulp = f"{max(one.ulp for one in differing):.3g}" if differing else ""
        rows.append(f"| {name} | {len(differing)} | {len(compared)} | {ulp} | {listed}{more} |")
    refused = dict.fromkeys(one.operation for found in by_property.values() for one in _sorted_out(found)[2])
    words = f"\nPyTorch refuses in one of the runs: {', '.join(f'`{name}`' for name in refused)}.\n" if refused else ""
    return PAGE.format(dtype=dtype, cases=cases, about=about, broken=broken) + "\n".join(rows) + "\n" + words


def _sorted_out(found: list[Found]) -> tuple[list[Found], list[Found], list[Found]]:
    """What could be compared, what of it differs, most first, and what PyTorch refused."""
    compared = [one for one in found if one.outcome in ("same", "differs")]
    differing = sorted((one for one in compared if one.outcome == "differs"), key=lambda one: -one.share)
    return compared, differing, [one for one in found if one.outcome in ("raises", "unsupported")]


def _print(name: str, found: list[Found]) -> None:
    """One line for a property, and one for each of the operations that change most."""
    compared, differing, refused = _sorted_out(found)
    print(f"\n{name}: bits differ in {len(differing)} of {len(compared)} operations")
    for one in differing[:LISTED]:
        print(f"  {one.operation:45} {one.share:7.2%} of {', '.join(one.outputs)}, at worst {one.ulp:.3g} ulp")
    if len(differing) > LISTED:
        print(f"  and {', '.join(one.operation.rpartition('.')[2] for one in differing[LISTED:])}")
    if refused:
        print(f"  refused: {', '.join(one.operation for one in refused)}")


if __name__ == "__main__":
    main()
