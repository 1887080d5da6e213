"""A data set written in another format, read back, and compared with what was there before."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from hermtk.data.dataset import iterate_structures, write_structures
from hermtk.data.structure import Structure
from hermtk.errors import DataError, RunError
from hermtk.units import Units

# a task and how many steps it has, if that is known; inside, a function that says how many were done
Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]


@dataclass
class Tally:
    """What a data set holds.

    Attributes:
        structures: how many there are.
        elements: atoms of each atomic number.
        labels: structures with ``energy``, ``forces``, ``stress``.
        info: structures with each other value, by its name.
    """

    structures: int = 0
    elements: Counter[int] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    info: Counter[str] = field(default_factory=Counter)

    def counting(
        self, structures: Iterable[Structure], advance: Callable[[int], None]
    ) -> Iterator[Structure]:
        """The structures, counted on their way."""
        for structure in structures:
            self.structures += 1
            self.elements.update(structure.numbers.tolist())
            self.labels.update(
                name for name in ("energy", "forces", "stress") if getattr(structure, name) is not None
            )
            self.info.update(structure.info.keys())
            advance(1)
            yield structure


@dataclass(frozen=True)
class Converted:
    """What was read and what is written: the same structures, elements and labels; of ``info``, what the format can hold."""

    read: Tally
    written: Tally

    @property
    def dropped(self) -> dict[str, int]:
        """Names of values beside the labels that could not be carried, and of how many structures."""
        lost = self.read.info - self.written.info
        return {name: lost[name] for name in sorted(lost)}


def silent(task: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
    """Progress that nobody watches."""
    return nullcontext(lambda done: None)


def convert(
    source: Path | str,
    target: Path | str,
    *,
    format_in: str | None = None,
    format_out: str | None = None,
    units: Units | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> Converted:
    """Write the data set ``source`` as ``target``, structure by structure as far as the formats allow.

    What was written is read back before it takes its place; until then, and after any failure, nothing is there.

    Args:
        source: a file, or the folder of a format whose data sets are folders.
        target: the same, to be written.
        format_in: the name of the format of ``source``; else name and content decide.
        format_out: that of ``target``; else its suffix decides.
        units: of ``source``, where it does not say them; ``target`` is in eV and Angstrom.
        force: whether ``target`` may exist; it is then replaced.
        progress: how to show it.

    Raises:
        DataError: ``source`` cannot be read or trusted, or the format cannot hold its structures or labels.
        RunError: ``target`` exists, is the source, or cannot be written.
        UnknownName: no format of that name.
    """
    source, target = Path(source), Path(target)
    _check_target(source, target, force)
    read, written = Tally(), Tally()
    with _beside(target) as staged:
        coming = iterate_structures(source, format=format_in, units=units)
        with progress("converting", None) as advance:
            write_structures(staged, read.counting(coming, advance), format=format_out)
        again = iterate_structures(staged, format=format_out)
        with progress("reading back", read.structures) as advance:
            for _ in written.counting(again, advance):
                pass
        for what in ("structures", "elements", "labels"):
            before, after = getattr(read, what), getattr(written, what)
            if before != after:
                raise DataError(
                    f"{source} cannot be carried to {target}: of its {what} ({_shown(before)}) {_shown(after)} would be left"
                )
        _place(staged, target)
    return Converted(read, written)


def _check_target(source: Path, target: Path, force: bool) -> None:
    """Refuse a place that cannot be written, before the work rather than after it."""
    if not target.absolute().parent.is_dir():
        raise RunError(f"{target} cannot be written: there is no folder {target.parent}")
    if not (target.exists() or target.is_symlink()):
        return
    if source.exists() and target.exists():
        inner, outer = source.resolve(), target.resolve()
        if inner.is_relative_to(outer) or outer.is_relative_to(inner):
            raise RunError(f"{target} is the input, or in it, or holds it: choose another place")
    if not force:
        raise RunError(f"{target} exists: choose another place, or replace it with --force")


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A path of the same name in a hidden folder beside ``target``, which is gone afterwards."""
    try:
        folder = tempfile.mkdtemp(prefix=".", dir=target.absolute().parent)
    except OSError as problem:
        raise RunError(f"{target} could not be written: {problem.strerror or problem}") from problem
    try:
        yield Path(folder) / target.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _place(staged: Path, target: Path) -> None:
    """Put what was written in its place; what was there goes with the hidden folder."""
    try:
        if target.is_dir() and not target.is_symlink():
            target.rename(staged.parent / "replaced")
        staged.replace(target)
    except OSError as problem:
        raise RunError(f"{target} could not be written: {problem.strerror or problem}") from problem


def _shown(counted: object) -> str:
    return str(dict(counted) if isinstance(counted, Counter) else counted)
