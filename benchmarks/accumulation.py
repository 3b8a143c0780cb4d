"""How fast histories of ``.grad`` are checked, and how close to their bound PyTorch comes.

    python benchmarks/accumulation.py [--histories 200]

Prints histories and calls checked per second, one thread, and the worst error over the bound by dtype.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from gradcheck.cases.inputs import Bits
from gradcheck.formats import FORMATS
from gradcheck.subject.accumulation import Torch
from gradcheck.verdict.accumulation import History

STEPS = 20


def history(dtype: str, seed: int) -> History:
    """A network of three leaves, used and used again over STEPS calls that the seed draws."""
    bits = Bits("benchmark", seed)
    made = History(Torch(dtype))
    leaves = [made.leaf(bits.bell(12).reshape(3, 4)) for _ in range(3)]
    for choice in bits.below(6, STEPS):
        a, b = (leaves[int(i)] for i in bits.below(3, 2))
        product = made.apply("multiply", a, b)
        end = made.apply("tanh", product)
        if choice == 0:
            made.zero(leaves, to_none=bool(bits.below(2, 1)[0]))
        elif choice == 1:
            made.gradient(end, a, bits.bell(12).reshape(3, 4))
        else:
            made.backward(end, bits.bell(12).reshape(3, 4), keep=bool(choice == 2))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=200)
    count = parser.parse_args().histories
    torch.set_num_threads(1)
    table = Table("dtype", "histories/s", "calls/s", "worst error/bound", box=None, pad_edge=False)
    for dtype in FORMATS:
        start = time.perf_counter()
        made = [history(dtype, seed) for seed in range(count)]
        seconds = time.perf_counter() - start
        calls = sum(len(each.calls) for each in made)
        worst = float(np.max([each.worst for each in made]))
        table.add_row(dtype, f"{count / seconds:.0f}", f"{calls / seconds:.0f}", f"{worst:.3f}")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
