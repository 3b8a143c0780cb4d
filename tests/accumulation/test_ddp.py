"""Two processes over gloo: gradients are averaged, ``no_sync`` accumulates, and a sum in the average's place is caught.

Inputs are small whole numbers, so that every sum and every half is exact and nothing needs a bound.
"""

from __future__ import annotations

import multiprocessing
from typing import Any

import pytest
import torch

from gradcheck.run.worker import PRELOADED

ROWS = {0: [[1.0, 2.0], [3.0, 4.0]], 1: [[5.0, 6.0], [8.0, 9.0]]}
"""The micro-batches of each process. The loss Σ w·x has the gradient x, whatever w is."""

SUM = [sum(ROWS[rank][0][i] for rank in ROWS) for i in range(2)]
LAST = [sum(ROWS[rank][1][i] for rank in ROWS) for i in range(2)]


def _worker(rank: int, store: str, results: Any) -> None:
    """What one of the two processes finds, as things should be and with the fault."""
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    try:
        results.put((rank, {fault: _found(rank, fault) for fault in ("", "sum")}))
    finally:
        dist.destroy_process_group()


def _found(rank: int, fault: str) -> dict[str, list[float]]:
    net = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1, bias=False))
    if fault == "sum":
        net.register_comm_hook(None, _summed)
    rows = [torch.tensor([row]) for row in ROWS[rank]]
    found = {}

    net(rows[0]).sum().backward()
    found["averaged"] = net.module.weight.grad.tolist()[0]
    net(rows[1]).sum().backward()
    found["twice"] = net.module.weight.grad.tolist()[0]

    net.zero_grad()
    with net.no_sync():
        net(rows[0]).sum().backward()
        found["local"] = net.module.weight.grad.tolist()[0]
    net(rows[1]).sum().backward()
    found["accumulated"] = net.module.weight.grad.tolist()[0]
    return found


def _summed(state, bucket):  # PyTorch compares the annotations of a hook with its own classes, so it has none
    """The fault: all-reduce without dividing by the number of processes."""
    import torch.distributed as dist

    work = dist.all_reduce(bucket.buffer(), async_op=True).get_future()
    return work.then(lambda done: done.value()[0])


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, dict[str, list[float]]]]:
    """By rank and fault, what both processes found: started once, from the server of the other tests' workers."""
    if not torch.distributed.is_available():
        pytest.skip("this PyTorch is built without torch.distributed")
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        context.set_forkserver_preload(PRELOADED)
    results, store = context.Queue(), tmp_path_factory.mktemp("ddp") / "store"
    workers = [context.Process(target=_worker, args=(rank, str(store), results)) for rank in (0, 1)]
    for worker in workers:
        worker.start()
    try:
        return dict(results.get(timeout=120) for _ in workers)
    finally:
        for worker in workers:
            worker.join(timeout=60)
            worker.kill()


def differences(found: dict[int, dict[str, list[float]]]) -> list[str]:
    """What the model of DistributedDataParallel says, and what it was."""
    half = [total / 2.0 for total in SUM]
    both = [a / 2.0 + b / 2.0 for a, b in zip(SUM, LAST, strict=True)]
    should = {"averaged": half, "twice": both, "accumulated": both}
    words = []
    for rank, outcome in sorted(found.items()):
        for name, expected in {**should, "local": ROWS[rank][0]}.items():
            if outcome[name] != expected:
                words.append(f"rank {rank}, {name}: {outcome[name]}, should be {expected}")
    return words


def test_gradients_are_averaged_and_no_sync_accumulates(processes: Any) -> None:
    assert differences({rank: found[""] for rank, found in processes.items()}) == []


def test_a_sum_in_the_average_is_caught_and_named(processes: Any) -> None:
    words = differences({rank: found["sum"] for rank, found in processes.items()})
    assert any("averaged: [6.0, 8.0], should be [3.0, 4.0]" in word for word in words)
    assert not any("local" in word for word in words)
