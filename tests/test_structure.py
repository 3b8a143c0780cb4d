"""The shape of the code: imports flow one way, torch stays in the subject, files stay small, names are documented."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "gradcheck"
FILES = sorted(ROOT.rglob("*.py"))
LAYERS = (
    ("errors", "formats", "processor", "recent", "__init__"),
    ("arithmetic",),
    ("reference",),
    ("cases",),
    ("subject",),
    ("verdict",),
    ("certify", "audit", "run", "record", "walkthrough"),
    ("report",),
    ("cli", "__main__"),
)
"""From what knows nothing to what knows everything; docs/architecture.md has the same table."""

LONGEST = 400


def layer_of(part):
    return next(level for level, parts in enumerate(LAYERS) if part in parts)


def part_of(path):
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported(path):
    """Every module that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield node.module or ""


def ours(path):
    return (name.split(".") for name in imported(path) if name.split(".")[0] == "gradcheck")


def named(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=named)
def test_imports_flow_one_way(path):
    for name in ours(path):
        part = name[1] if len(name) > 1 else "__init__"
        assert layer_of(part) <= layer_of(part_of(path)), f"{named(path)} imports {'.'.join(name)}"


def test_an_import_against_the_flow_would_be_seen(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def late():\n    from gradcheck.cli.verify import verify\n", encoding="utf-8")
    assert [name[1] for name in ours(wrong)] == ["cli"]
    assert layer_of("cli") > layer_of("arithmetic")


@pytest.mark.parametrize("path", [path for path in FILES if part_of(path) != "subject"], ids=named)
def test_only_the_subject_imports_torch(path):
    assert not [name for name in imported(path) if name.split(".")[0] == "torch"]


def test_only_the_strategies_import_hypothesis():
    users = {named(path) for path in FILES if any(name.split(".")[0] == "hypothesis" for name in imported(path))}
    assert users == {"cases/strategies.py"}


@pytest.mark.parametrize("path", FILES, ids=named)
def test_files_stay_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def module_name(path):
    return ".".join(("gradcheck", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


@pytest.mark.parametrize("path", FILES, ids=named)
def test_modules_say_what_they_are_and_what_they_offer(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if tree.body:
        assert ast.get_docstring(tree), f"{named(path)} has no docstring"
    if path.stem.startswith("__") or not tree.body:
        return
    module = importlib.import_module(module_name(path))
    assert hasattr(module, "__all__"), f"{named(path)} has no __all__"
    for name in module.__all__:
        thing = getattr(module, name)
        if callable(thing) and getattr(thing, "__module__", None) == module.__name__:
            assert thing.__doc__, f"{module.__name__}.{name} has no docstring"


def test_the_docs_show_the_same_layers():
    page = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.split("## Layers")[1].split("##")[0]
    parts = [part for layer in LAYERS for part in layer if not part.startswith("__")]
    places = [table.index(f"`{part}") for part in parts]
    assert places == sorted(places)
