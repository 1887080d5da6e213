"""Which components of an input and of the edge's direction make which component of a message, with which coefficient."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Entry:
    """One term of a convolution: output[out] += coefficient x input[inp] x angular[ang] x filter[path].

    Attributes:
        path: which filter, one number per channel and edge.
        inp: component of the sender's features; -1 where the filter alone is sent.
        ang: component of the edge's angular functions.
        out: component of the message.
        coefficient: e.g. a Clebsch-Gordan coefficient.
    """

    path: int
    inp: int
    ang: int
    out: int
    coefficient: float = 1.0


@dataclass(frozen=True)
class PathTerms:
    """One path: the components it reads and writes, and its coefficients ``dense[ang][inp][out]``.

    Attributes:
        ins: the inputs; [-1] where the filter alone is sent.
        angs: the angular components.
        outs: the outputs.
        dense: a coefficient for each of their combinations.
    """

    ins: list[int]
    angs: list[int]
    outs: list[int]
    dense: list[list[list[float]]]

    @property
    def only_filter(self) -> bool:
        """Whether the path sends its filter alone."""
        return self.ins == [-1]

    @property
    def scaling(self) -> float | None:
        """The factor, where each component goes to its own and the angular part is one component; else None."""
        factor = self.dense[0][0][0]
        size = range(len(self.ins))
        diagonal = [[factor if i == j else 0.0 for j in size] for i in size]
        return factor if self.dense == [diagonal] else None


@dataclass(frozen=True)
class Couplings:
    """All terms of a convolution.

    Attributes:
        entries: the terms.
        inputs, angulars, outputs: how many components there are.
        text: all of it in one line, exact: what the compiled kernels and traced graphs know it by.
        by_path: the terms of each path as one dense array.
    """

    entries: tuple[Entry, ...]
    inputs: int
    angulars: int
    outputs: int
    text: str = field(init=False, compare=False, repr=False)
    by_path: tuple[PathTerms, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Everything is worked out here, once: a trace of a model sees plain numbers.

        Raises:
            ValueError: an entry names a component that is not there, a path has no entry, or sends its filter alone as well as
                with an input.
        """
        sizes = f"{self.inputs} {self.angulars} {self.outputs}"
        terms = (f"{e.path} {e.inp} {e.ang} {e.out} {float(e.coefficient)!r}" for e in self.entries)
        object.__setattr__(self, "text", ";".join([sizes, *terms]))
        for e in self.entries:
            if not (-1 <= e.inp < self.inputs and 0 <= e.ang < self.angulars and 0 <= e.out < self.outputs):
                raise ValueError(
                    f"{e}: there are {self.inputs} inputs, {self.angulars} angulars, {self.outputs} outputs"
                )
        found = {e.path for e in self.entries}
        if not found or found != set(range(len(found))):
            raise ValueError(f"the paths of the entries are {sorted(found)}, not 0, 1, 2 ...")
        object.__setattr__(self, "by_path", tuple(self._terms(path) for path in sorted(found)))

    @property
    def paths(self) -> int:
        """How many filters each edge has."""
        return len(self.by_path)

    def _terms(self, path: int) -> PathTerms:
        entries = [e for e in self.entries if e.path == path]
        ins, angs, outs = (sorted({getattr(e, name) for e in entries}) for name in ("inp", "ang", "out"))
        if -1 in ins and len(ins) > 1:
            raise ValueError(
                f"path {path} sends its filter alone (input -1) and with inputs {ins[1:]}: make it two"
            )
        dense = [[[0.0] * len(outs) for _ in ins] for _ in angs]
        for e in entries:
            dense[angs.index(e.ang)][ins.index(e.inp)][outs.index(e.out)] += float(e.coefficient)
        return PathTerms(ins, angs, outs, dense)
