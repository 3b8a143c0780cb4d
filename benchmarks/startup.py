"""Wall time of whole commands, as a user waits for them: the median of some runs.

python benchmarks/startup.py [--runs 5] [--full]
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

import click
from rich.console import Console
from rich.table import Table

COMMANDS = {
    "import gradcheck": (["-c", "import gradcheck"], 0.5),
    "gradcheck --help": (["-m", "gradcheck", "--help"], 0.5),
    "gradcheck list": (["-m", "gradcheck", "list"], None),
    "gradcheck verify softmax": (["-m", "gradcheck", "verify", "softmax"], 8.0),
}
FULL = {"gradcheck verify": (["-m", "gradcheck", "verify"], 60.0)}


def seconds(arguments: list[str]) -> float:
    """Of one run of the command as a process of its own."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    return time.perf_counter() - start


@click.command(help=__doc__)
@click.option("--runs", default=5, show_default=True)
@click.option("--full", is_flag=True, help="The whole of `gradcheck verify` as well, once.")
def main(runs: int, full: bool) -> None:
    table = Table("command", "median s", "least", "most", "to reach", box=None)
    for name, (arguments, target) in {**COMMANDS, **(FULL if full else {})}.items():
        times = [seconds(arguments) for _ in range(1 if name in FULL else runs)]
        figures = (f"{pick(times):.2f}" for pick in (median, min, max))
        table.add_row(name, *figures, "-" if target is None else f"{target:g}")
    Console().print(table)


if __name__ == "__main__":
    main()
