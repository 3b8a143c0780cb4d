"""What ``verify`` is to do: a selection, the cases of an earlier run, or what is left of a run that was cut off."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcheck.errors import UsageError, choices

if TYPE_CHECKING:
    from gradcheck.record.run import Run
    from gradcheck.record.write import Recorder
    from gradcheck.run.plan import Piece, Selection
    from gradcheck.run.summary import Summary
    from gradcheck.verdict.verdict import Verdict

__all__ = ["Options", "Work", "work_of"]


@dataclass(frozen=True)
class Options:
    """The options of the command that choose what is done. given: names of those that the user gave.

    places: words on each axis of Selection (dtypes, devices, layouts, modes, …).
    """

    names: tuple[str, ...]
    places: dict[str, tuple[str, ...]]
    cases: int
    seed: int
    record_file: str | None = None
    resume: bool = False
    cases_from: str | None = None
    given: frozenset[str] = frozenset()


@dataclass
class Work:
    """What to judge, and where to write it.

    selection: as it is recorded; lines: of the cases, where they are those of an earlier run; resumed: the run that
    goes on, of which pieces holds what is left.
    """

    selection: dict[str, Any]
    pieces: list[Piece]
    devices: tuple[str, ...]
    recorder: Recorder | None = None
    lines: tuple[str, ...] = ()
    resumed: Run | None = None

    @property
    def cases(self) -> int:
        return sum(len(piece) for piece in self.pieces)

    def begin(self, facts: dict[str, Any]) -> None:
        """Begin the run in the record, or make sure that the one that goes on is under the same PyTorch."""
        if self.recorder is None:
            return
        if self.resumed is not None:
            _check_same(self.resumed, facts, self.recorder.path)
            return
        self.recorder.begin(facts, self.selection, lines=self.lines)

    def before(self, summary: Summary, collected: list[Verdict] | None) -> None:
        """Take in what the run had recorded before it was cut off."""
        if self.resumed is None or self.recorder is None:
            return
        from gradcheck.record.read import Record

        with Record(self.recorder.path) as record:
            for recorded in record.verdicts(self.resumed):
                summary.add([recorded.verdict])
                if collected is not None:
                    collected.append(recorded.verdict)


def work_of(options: Options) -> Work:
    """The work that the options ask for. Raises UsageError, before anything is judged, for what cannot be done."""
    if options.resume:
        return _resumed(options)
    work = _from_earlier(options) if options.cases_from else _selected(options)
    if options.record_file:
        from gradcheck.record.write import Recorder

        work.recorder = Recorder(options.record_file)
    return work


def _selected(options: Options) -> Work:
    from gradcheck.cases.inputs import COTANGENTS, cotangent_words
    from gradcheck.cases.layouts import LAYOUTS
    from gradcheck.formats import format_named
    from gradcheck.reference.registry import select
    from gradcheck.run.plan import Selection, known_modes

    entries = select(options.names)
    for dtype in options.places["dtypes"]:
        format_named(dtype)
    for axis, known in (("layout", tuple(LAYOUTS)), ("mode", known_modes(entries))):
        for word in options.places[f"{axis}s"]:
            if word not in known:
                raise UsageError(f"{axis} {word!r} is not known; expected {choices(known)}.")
    for word in options.places.get("cotangents", ()):
        cotangent_words(f"{COTANGENTS[0]}{word}" if word.startswith(":") else word)
    chosen: dict[str, Any] = {axis: tuple(dict.fromkeys(words)) for axis, words in options.places.items() if words}
    names = tuple(entry.name for entry in entries)
    return _of_selection(Selection(operations=names, cases=options.cases, seed=options.seed, **chosen))


def _of_selection(selection: Selection) -> Work:
    from gradcheck.run.plan import pieces

    return Work(asdict(selection), pieces(selection), selection.devices)


def _from_earlier(options: Options) -> Work:
    from gradcheck.record.read import Record, file_and_run
    from gradcheck.reference.registry import select
    from gradcheck.run.listed import listed_pieces, moved_cases

    assert options.cases_from is not None
    for option in ("cases", "seed"):
        if option in options.given:
            raise UsageError(f"--{option} does not go with --cases-from: the cases are those of the earlier run.")
    path, word = file_and_run(options.cases_from)
    with Record(path) as record:
        run = record.run(word)
        lines = record.cases(run)
    words = {axis.removesuffix("s"): tuple(dict.fromkeys(values)) for axis, values in options.places.items() if values}
    moved = {axis: values for axis, values in words.items() if axis in ("device", "setting")}
    wanted = {axis: values for axis, values in words.items() if axis not in moved}
    chosen, unknown = moved_cases(lines, [entry.name for entry in select(options.names)], wanted, moved)
    if unknown:
        click.echo(f"gradcheck: this gradcheck has no {choices(unknown)}; their cases are left out.", err=True)
    if not chosen:
        raise UsageError(f"run {run.number} of record {path} has no cases of what was asked for.")
    found = listed_pieces(chosen)
    selection = {"cases_from": run.uuid, "file": str(path), **words}
    return Work(selection, found, tuple(dict.fromkeys(p.device for p in found)), lines=tuple(chosen))


def _resumed(options: Options) -> Work:
    from gradcheck.record.write import Recorder
    from gradcheck.run.listed import listed_pieces
    from gradcheck.run.plan import Selection

    if options.record_file is None:
        raise UsageError("--resume needs --record FILE, the record that holds the unfinished run.")
    if options.given:
        raise UsageError(f"--resume goes on with the run's own selection; leave out {choices(sorted(options.given))}.")
    if not Path(options.record_file).is_file():
        raise UsageError(f"--resume: there is no record {options.record_file}.")
    recorder = Recorder(options.record_file)
    run = recorder.resume()
    if "cases_from" in run.selection:
        found = listed_pieces(recorder.planned())
        work = Work(run.selection, found, tuple(dict.fromkeys(p.device for p in found)))
    else:
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in run.selection.items()}
        work = _of_selection(Selection(**fields))
    done = recorder.done()
    work.pieces = [piece for piece in work.pieces if piece.name not in done]
    work.recorder, work.resumed = recorder, run
    return work


def _check_same(run: Run, facts: dict[str, Any], path: Path) -> None:
    changed = [
        f"{name} {was} instead of {facts[name]}" for name, was in run.facts.items() if was != _as_read(facts[name])
    ]
    if changed:
        raise UsageError(
            f"record {path}: run {run.number} was begun with {'; '.join(changed)}. A run is made under one PyTorch on "
            f"one machine: finish it there, or run its cases here with --cases-from {path}:{run.number}."
        )


def _as_read(fact: Any) -> Any:
    """A fact as it is read back from JSON: names are strings."""
    return {str(name): value for name, value in fact.items()} if isinstance(fact, dict) else fact
