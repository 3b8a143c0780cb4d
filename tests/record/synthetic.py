"""Records without PyTorch: verdicts made up, of any number, the same for a seed."""

import random
from dataclasses import replace

from packaging.specifiers import SpecifierSet

from gradcheck.record.write import Recorder
from gradcheck.verdict.ledger import Entry
from gradcheck.verdict.verdict import Verdict, Witness

FACTS = {
    "gradcheck": "0.1.0",
    "torch": "2.13.0+cpu",
    "numpy": "2.2.0",
    "python": "3.11.9",
    "platform": "Linux-6.1-x86_64",
    "cpu_capability": "AVX2",
    "blas": "mkl",
    "threads": 1,
    "devices": {"cpu": {"name": "", "driver": ""}},
    "precision": {"float32_matmul_precision": "highest"},
}

OPERATIONS = ("nn.functional.gelu", "nn.functional.layer_norm", "nn.functional.relu", "nn.functional.softmax")
DTYPES = ("float64", "float32", "float16", "bfloat16")
OUTPUTS = ("value", "grad[x]")

KNOWN = Entry(
    operation="nn.functional.gelu",
    outputs=("value", "grad[x]"),
    dtypes=("float32",),
    device="cpu",
    mode="backward",
    torch=SpecifierSet(">=2.0"),
    element="ordinary",
    size=5.5,
    reason="A kernel of its own.",
    source="found by gradcheck",
)


def verdict(**fields):
    """A verdict that agrees, unless the fields say otherwise; the case line follows from its axes and ``number``."""
    number = fields.pop("number", 0)
    plain = {
        "operation": "nn.functional.relu", "mode": "backward", "dtype": "float32", "device": "cpu",
        "layout": "contiguous", "setting": "default", "output": "value", "status": "agrees", "error_over_bound": 0.5,
        "error_over_storage_bound": 0.5, "ulp": 0.5, "digest": "00",
    }  # fmt: skip
    plain |= fields
    axes = {"device": "cpu", "mode": "backward", "layout": "contiguous", "setting": "default"}
    words = " ".join(f"{name}={plain[name]}" for name, default in axes.items() if plain[name] != default)
    line = f"{plain['operation']}(x=ordinary(4, 7)) seed={number} dtype={plain['dtype']} {words}".strip()
    return Verdict(**{"case": line, **plain})


def deviating(ratio=4.0, **fields):
    """A verdict that deviates, with its witness."""
    witness = Witness((1, 2), (("x", 0.25),), 1.0, 2.0, 0.1, 3, 28, (("ordinary", ratio),))
    plain = {"status": "deviates", "error_over_bound": ratio, "error_over_storage_bound": ratio, "witness": witness}
    return verdict(**{**plain, **fields})


def verdicts(operations=OPERATIONS, dtypes=DTYPES, cases=5, outputs=OUTPUTS, modes=("backward",), seed=0, **fields):
    """Verdicts of drawn sizes on all combinations, with some of every status."""
    draw = random.Random(seed)
    for operation in operations:
        for dtype in dtypes:
            for mode in modes:
                for number in range(cases):
                    for output in outputs:
                        place = {"operation": operation, "dtype": dtype, "mode": mode, "number": number}
                        yield _drawn(draw, replace(verdict(**place, output=output), **fields))


def _drawn(draw, found):
    ratio = draw.random()
    found = replace(
        found,
        error_over_bound=ratio,
        error_over_storage_bound=ratio / 2,
        ulp=2 * ratio,
        digest=f"{draw.getrandbits(64):016x}",
        seconds=draw.random() / 100,
    )
    if found.operation == "nn.functional.gelu" and found.dtype == "float32" and ratio > 0.5:
        witness = Witness((0, 3), (("x", draw.random()),), 1.0, 2.0, 0.1, 3, 28, (("ordinary", 5 * ratio),))
        return replace(found, status="deviates", error_over_bound=5 * ratio, witness=witness)
    if found.dtype.endswith("16") and ratio > 0.9:
        return replace(found, status="coarse", error_over_bound=10 * ratio, notes=("rounds twice",))
    return found


def covering(found):
    """The ledger entry that the synthetic ledger has for a verdict."""
    return KNOWN if found.status == "deviates" and found.operation == KNOWN.operation else None


def record(path, found=None, *, finished=True, facts=(), piece=20, name=None, **axes):
    """Write one run of verdicts (drawn by :func:`verdicts` from the axes by default) into the file; its Run."""
    found = list(verdicts(**axes) if found is None else found)
    with Recorder(path) as recorder:
        selection = {"operations": sorted({v.operation for v in found}), "cases": 60}
        recorder.begin(FACTS | dict(facts), selection, name=name)
        for start in range(0, len(found), piece):
            recorder.add(f"piece {start}", [(v, covering(v)) for v in found[start : start + piece]])
        if finished:
            recorder.finish()
        else:
            recorder.commit()
        return recorder.current()
