"""Which elements, pairs and triads a set holds, and which relations of a variant its training part leaves starving.

A pair is written ``A-B``: neighbour A, centre B, as relations are; a triad ``A-B-C`` is an angle at the centre B with
neighbours A and C within the cut-off, whichever comes first.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Int

from hermtk import registry
from hermtk.audit.findings import Finding
from hermtk.data.elements import number_of, symbols
from hermtk.data.structure import Structure
from hermtk.graph.neighbors import neighbor_pairs
from hermtk.models.variants import variant
from hermtk.relations.base import RelationTable

Array = np.ndarray

# A relation's message is a radial function with weights of its own, of 7 basis functions in the default model: 100 edges
# are some 14 samples of each. Of what was seen less often, the weights are mostly what they happened to be at the start.
SEEN_ENOUGH = 100
# atoms times squared elements looked at together
_AT_ONCE = 2**20
# relations named in a sentence
_NAMED = 8


class Coverage:
    """How often every element, pair and triad occurs, and in how many structures; grows with each one added.

    Attributes:
        structures: how many were added.
        elements: the K atomic numbers met so far, in the order of the axes.
        atoms: [2, K] atoms, and structures that hold some.
        pairs: [2, K, K] edges by (neighbour, centre), and structures.
        triads: [2, K, K, K] angles by (neighbour, centre, other neighbour), symmetric, and structures.
    """

    def __init__(self) -> None:
        self.structures = 0
        self.elements: list[int] = []
        self.atoms = np.zeros((2, 0), dtype=np.int64)
        self.pairs = np.zeros((2, 0, 0), dtype=np.int64)
        self.triads = np.zeros((2, 0, 0, 0), dtype=np.int64)

    def add(
        self, numbers: Int[Array, " atoms"], center: Int[Array, " edges"], neighbor: Int[Array, " edges"]
    ) -> None:
        """One more structure: its atomic numbers and the two ends of every directed edge within the cut-off."""
        if not len(numbers):
            return
        kinds, kind = np.unique(numbers, return_inverse=True)
        k = len(kinds)
        near = np.bincount(center * k + kind[neighbor], minlength=len(kind) * k).reshape(-1, k)
        own = np.eye(k, dtype=np.int64)[kind]
        angles = np.stack([_angles(near[kind == b]) for b in range(k)], axis=1)
        place = self._places(kinds)
        for table, counts in ((self.atoms, own.sum(0)), (self.pairs, near.T @ own), (self.triads, angles)):
            axes = np.ix_(*[place] * counts.ndim)
            table[0][axes] += counts
            table[1][axes] += counts > 0
        self.structures += 1

    def add_all(
        self,
        numbers: Int[Array, " atoms"],
        structure: Int[Array, " atoms"],
        center: Int[Array, " edges"],
        neighbor: Int[Array, " edges"],
    ) -> None:
        """Several structures end to end, ``structure`` and ``center`` ascending from 0: as one by one, but many times faster."""
        kinds, kind = np.unique(numbers, return_inverse=True)
        n, k, last = len(numbers), len(kinds), int(structure[-1])
        if n * k**2 > _AT_ONCE and last:
            atom = int(np.searchsorted(structure, (last + 1) // 2))
            edge = int(np.searchsorted(center, atom))
            self.add_all(numbers[:atom], structure[:atom], center[:edge], neighbor[:edge])
            rest = structure[atom:] - structure[atom], center[edge:] - atom, neighbor[edge:] - atom
            self.add_all(numbers[atom:], *rest)
            return
        near = np.bincount(center * k + kind[neighbor], minlength=n * k).reshape(n, k)
        # atoms of one structure and one element together
        order = np.argsort(structure * k + kind, kind="stable")
        heads = np.flatnonzero(np.diff((structure * k + kind)[order], prepend=-1))
        near, same = near[order], np.arange(k)
        own, edges = np.diff(np.append(heads, n)), np.add.reduceat(near, heads)
        angles = np.add.reduceat(np.einsum("ia,ib->iab", near, near), heads)
        angles[:, same, same] = (angles[:, same, same] - edges) // 2
        place, element = self._places(kinds), kind[order][heads]
        for b in range(k):
            here, to = element == b, place[b]
            for side, seen in enumerate((lambda counts: counts, lambda counts: counts > 0)):
                self.atoms[side, to] += seen(own[here]).sum()
                self.pairs[side, place, to] += seen(edges[here]).sum(0)
                self.triads[side][np.ix_(place, [to], place)] += seen(angles[here]).sum(0)[:, None]
        self.structures += last + 1

    def edges(self, table: RelationTable) -> dict[str, int]:
        """How many edges each relation of a scheme holds."""
        known = {z: k for k, z in enumerate(self.elements)}
        counts = np.zeros(len(table), dtype=np.int64)
        for (a, one), (b, two) in product(enumerate(table.elements), repeat=2):
            if one in known and two in known:
                counts[table.relation[a, b].unique().numpy()] += self.pairs[0, known[one], known[two]]
        return dict(zip(table.labels, counts.tolist(), strict=True))

    def relations(self, table: RelationTable) -> dict[str, int]:
        """How often each relation of a scheme occurs: its edges, or its angles where it has two kinds of neighbour.

        An edge A-B stands in the triad A-B-C, too, but shows nothing of what B's neighbours A and C are to each other.
        """
        known = {z: k for k, z in enumerate(self.elements)}
        counts = self.edges(table)
        for r in np.flatnonzero(table.mixed.numpy()):
            place = [known.get(z, -1) for z in table.keys[r]]
            counts[table.labels[r]] = int(self.triads[0][tuple(place)]) if min(place) >= 0 else 0
        return counts

    def facts(self) -> dict[str, Any]:
        """As plain values: ``{"elements": {"H": [atoms, structures]}, "pairs": {"H-C": [edges, structures]}, ...}``."""
        names = symbols(self.elements)
        found: dict[str, Any] = {"structures": self.structures}
        for title, table in (("elements", self.atoms), ("pairs", self.pairs), ("triads", self.triads)):
            rows = np.argwhere(table[1])
            # of A-B-C and C-B-A one is enough
            rows = rows[_in_order(rows, self.elements)] if title == "triads" else rows
            order = sorted(rows.tolist(), key=lambda row: [self.elements[k] for k in row])
            found[title] = {
                "-".join(names[k] for k in row): table[(slice(None), *row)].tolist() for row in order
            }
        return found

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Coverage":
        """The table again from ``facts``."""
        table = cls()
        table.structures = int(facts["structures"])
        places = table._places(np.array([number_of(name) for name in facts["elements"]], dtype=np.int64))
        place = dict(zip(facts["elements"], places.tolist(), strict=True))
        for title, counts in (("elements", table.atoms), ("pairs", table.pairs), ("triads", table.triads)):
            for name, both in facts[title].items():
                key = tuple(place[part] for part in name.split("-"))
                counts[(slice(None), *key)] = both
                if title == "triads":
                    counts[(slice(None), *key[::-1])] = both
        return table

    def _places(self, kinds: Int[Array, " kinds"]) -> Int[Array, " kinds"]:
        """Where elements stand on the axes, which grow by those that are new."""
        new = [int(z) for z in kinds if int(z) not in self.elements]
        if new:
            self.elements += new
            grow = (0, len(new))
            self.atoms = np.pad(self.atoms, [(0, 0), grow])
            self.pairs = np.pad(self.pairs, [(0, 0), grow, grow])
            self.triads = np.pad(self.triads, [(0, 0), grow, grow, grow])
        return np.array([self.elements.index(int(z)) for z in kinds], dtype=np.int64)


def relation_table(name: str, elements: Sequence[int]) -> RelationTable:
    """The relations of a variant between some elements.

    Raises:
        UnknownName: no variant of that name.
    """
    chosen = variant(name)
    return RelationTable(registry.find("relation", chosen.relation)(**chosen.options), elements)


def starving(seen: Mapping[str, int], used: Mapping[str, int]) -> dict[str, int]:
    """Of the relations that are used, those seen fewer than ``SEEN_ENOUGH`` times, with how often; the poorest first.

    A relation that ``seen`` does not mention is passed over: nothing is known of it.
    """
    rare = {name: seen[name] for name, n in used.items() if n and seen.get(name, SEEN_ENOUGH) < SEEN_ENOUGH}
    return dict(sorted(rare.items(), key=lambda item: item[1]))


def seen_in_training(facts: Mapping[str, Any], table: RelationTable) -> dict[str, int]:
    """How often a model's training saw each of its relations, from the facts of its file; empty where they do not say."""
    if "seen" in facts:
        return Coverage.from_facts(facts["seen"]).relations(table)
    # files of older versions: edges only
    return dict(facts.get("coverage", {}))


def rarely_seen(
    facts: Mapping[str, Any], table: RelationTable, structures: Iterable[Structure], cutoff: float
) -> dict[str, int]:
    """The relations that structures use and that a model's training saw fewer than ``SEEN_ENOUGH`` times, with how often."""
    seen = seen_in_training(facts, table)
    if not seen:
        return {}
    used = Coverage()
    for structure in structures:
        pairs = neighbor_pairs(structure.positions, structure.cell, structure.pbc, cutoff)
        used.add(structure.numbers, pairs.center, pairs.neighbor)
    return starving(seen, used.relations(table))


def in_words(rare: Mapping[str, int]) -> str:
    """Relations and their counts as part of a sentence: ``Nb-Mo-Ta (0), W-Mo-W (12) and 4 more``."""
    named = [f"{name} ({count})" for name, count in rare.items()]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more


def coverage_findings(covered: Mapping[str, Coverage], cutoff: float, name: str) -> Iterator[Finding]:
    """Elements and relations of a variant that later sets use and the first set, which is trained on, hardly shows.

    Args:
        covered: the sets; the first one is trained on.
        cutoff: Angstrom, for the sentence.
        name: the variant.
    """
    (first, train), *others = covered.items()
    every = sorted({z for coverage in covered.values() for z in coverage.elements})
    table = relation_table(name, every)
    seen = train.relations(table)
    for later, coverage in others:
        strange = [z for z in coverage.elements if z not in train.elements]
        if strange:
            yield Finding(
                "unseen-elements",
                "error",
                f"{later} holds {', '.join(symbols(strange))}, which {first} does not: a model of {first} cannot compute "
                "those structures. Add such structures to training or leave them out of the test.",
                evidence={"set": later, "elements": symbols(strange)},
            )
        used = coverage.relations(table)
        rare = starving(seen, used)
        if rare:
            none = sum(count == 0 for count in rare.values())
            yield Finding(
                "starving-relations",
                "error" if none else "warning",
                f"{later} uses {len(rare)} of {len(table)} relations of {name} that {first} shows fewer than {SEEN_ENOUGH} "
                f"times within {cutoff:g} Å, {none} of them never: {in_words(rare)}. Their weights are hardly trained: add "
                "structures that hold them, or choose a variant with fewer relations.",
                evidence={
                    "set": later,
                    "variant": name,
                    "cutoff": cutoff,
                    "enough": SEEN_ENOUGH,
                    "relations": {n: {"train": count, "used": used[n]} for n, count in rare.items()},
                },
            )
    rare = starving(seen, seen)
    if rare:
        yield Finding(
            "rare-relations",
            "note",
            f"{first} shows {len(rare)} of {len(table)} relations of {name} fewer than {SEEN_ENOUGH} times within "
            f"{cutoff:g} Å: {in_words(rare)}.",
            evidence={"set": first, "variant": name, "relations": rare},
        )


def _angles(near: Int[Array, "centers kinds"]) -> Int[Array, "kinds kinds"]:
    """Angles by the elements of both ends, from the neighbours that each centre has of each element."""
    # float64 counts exactly far beyond any structure and multiplies faster than whole numbers
    near = near.astype(np.float64)
    both = near.T @ near
    same = np.arange(near.shape[1])
    both[same, same] = (both[same, same] - near.sum(0)) / 2
    return both.astype(np.int64)


def _in_order(rows: Int[Array, "rows 3"], elements: Sequence[int]) -> Array:
    number = np.array(elements, dtype=np.int64)
    return number[rows[:, 0]] <= number[rows[:, 2]]
