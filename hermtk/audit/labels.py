"""What can be said of labels one by one: missing, repeated, constant, with forces or torques that do not add up to zero."""

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hermtk.audit.findings import Finding, Sets
from hermtk.data.structure import Structure

LABELS = ("energy", "forces", "stress")
# eV/Angstrom and atom: a net force above this is more than rounding and the noise of integration grids
NET_FORCE = 5e-3
# of the largest possible torque, sum |r| |F|
NET_TORQUE = 0.02
_SHOWN = 10


def labels(sets: Sets) -> Iterator[Finding]:
    """Findings on each set; every structure is looked at once and some thirty bytes of it are kept."""
    for name, structures in sets.items():
        seen = _Seen()
        for k, s in enumerate(structures):
            seen.add(k, s)
        for find in (_missing, _unconverged, _constant, _net_forces, _net_torques, _repeated):
            yield from find(name, structures, seen)


class _Seen:
    """A few numbers of each structure; forces only of those that have some and more than one atom."""

    def __init__(self) -> None:
        self.missing = {label: array("q") for label in LABELS}
        self.unconverged = array("q")
        self.energies: set[float] = set()
        self.rows, self.keys = array("q"), array("q")
        self.net, self.torque = array("d"), array("d")
        self.square, self.components, self.zero = 0.0, 0, 0

    def add(self, k: int, s: Structure) -> None:
        for label in LABELS:
            if getattr(s, label) is None:
                self.missing[label].append(k)
        if s.energy is not None and len(self.energies) < 2:
            self.energies.add(s.energy)
        if s.info.get("converged") is not None and not s.info["converged"]:
            self.unconverged.append(k)
        if s.forces is not None and len(s) > 1:
            self.rows.append(k)
            self.add_forces(s, s.forces)

    def add_forces(self, s: Structure, forces: np.ndarray) -> None:
        total = forces.sum(axis=0)
        self.net.append(float(np.linalg.norm(total)) / len(s))
        self.square += float((forces**2).sum())
        self.components += forces.size
        self.zero += not forces.any()
        # forces that are small or the same by symmetry say nothing
        key = hashlib.blake2b(np.round(forces, 6).tobytes(), digest_size=8).digest()
        self.keys.append(int.from_bytes(key, "big", signed=True) if np.abs(forces).max() > 1e-2 else 0)
        arms = s.positions - s.positions.mean(axis=0)
        most = float((np.linalg.norm(arms, axis=1) * np.linalg.norm(forces, axis=1)).sum())
        torque = np.cross(arms, forces - total / len(s)).sum(axis=0)
        self.torque.append(0.0 if s.pbc.any() else float(np.linalg.norm(torque)) / max(most, 1e-12))


def _missing(name: str, structures: Sequence[Structure], seen: _Seen) -> Iterator[Finding]:
    for label, places in seen.missing.items():
        evidence = {"label": label, "count": len(places), "structures": len(structures)}
        if 0 < len(places) < len(structures):
            summary = (
                f"{name}: {len(places)} of {len(structures)} structures have no {label}; training stops at them, or with "
                "--allow-missing leaves them out of the error"
            )
            yield Finding("missing-labels", "warning", summary, _sources(structures, places), evidence)
        elif places and label != "stress":
            yield Finding("missing-labels", "note", f"{name}: no structure has {label}", (), evidence)


def _unconverged(name: str, structures: Sequence[Structure], seen: _Seen) -> Iterator[Finding]:
    if seen.unconverged:
        summary = f"{name}: {len(seen.unconverged)} of {len(structures)} calculations did not converge"
        evidence = {"count": len(seen.unconverged)}
        yield Finding("unconverged", "warning", summary, _sources(structures, seen.unconverged), evidence)


def _constant(name: str, structures: Sequence[Structure], seen: _Seen) -> Iterator[Finding]:
    known = len(structures) - len(seen.missing["energy"])
    if len(seen.energies) == 1 and known > 2:
        energy = next(iter(seen.energies))
        yield Finding(
            "constant-energies", "error", f"{name}: the energies of all {known} structures are {energy} eV"
        )
    if seen.zero > 1 and seen.zero > 0.5 * len(seen.rows):
        summary = (
            f"{name}: all forces are zero in {seen.zero} of {len(seen.rows)} structures that have forces"
        )
        yield Finding("zero-forces", "warning", summary, evidence={"count": seen.zero})


def _net_forces(name: str, structures: Sequence[Structure], seen: _Seen) -> Iterator[Finding]:
    net = np.asarray(seen.net)
    count = int((net > NET_FORCE).sum())
    if not count:
        return
    size, floor = np.sqrt(seen.square / seen.components), np.sqrt(np.mean(net**2) / 3)
    summary = (
        f"{name}: net forces: in {count} of {len(structures)} structures forces add up to more than {1e3 * NET_FORCE:.0f} "
        f"meV/Angstrom and atom (median {1e3 * np.median(net):.1f}, largest {1e3 * net.max():.1f}, rms force {1e3 * size:.0f}); "
        f"no model that conserves momentum can have a force RMSE below {1e3 * floor:.1f} meV/Angstrom here"
    )
    evidence = {
        "count": count,
        "median_per_atom": float(np.median(net)),
        "largest_per_atom": float(net.max()),
        "rms_force": float(size),
    }
    worst = np.asarray(seen.rows)[np.argsort(-net)[: min(count, _SHOWN)]]
    yield Finding("net-forces", "warning", summary, _sources(structures, worst), evidence)


def _net_torques(name: str, structures: Sequence[Structure], seen: _Seen) -> Iterator[Finding]:
    torque = np.asarray(seen.torque)
    if not len(torque):
        return
    count = int((torque > max(NET_TORQUE, 10 * float(np.median(torque)))).sum())
    if count:
        summary = (
            f"{name}: in {count} molecules the forces exert a net torque, up to {torque.max():.0%} of the largest possible: "
            "forces of another geometry, or an external field"
        )
        worst = np.asarray(seen.rows)[np.argsort(-torque)[: min(count, _SHOWN)]]
        evidence = {"count": count, "largest": float(torque.max())}
        yield Finding("net-torque", "warning", summary, _sources(structures, worst), evidence)


def _repeated(name: str, structures: Sequence[Structure], seen: _Seen) -> Iterator[Finding]:
    keys = np.asarray(seen.keys)
    order = np.argsort(keys, kind="stable")
    same = (keys[order][1:] == keys[order][:-1]) & (keys[order][1:] != 0)
    rows = np.asarray(seen.rows)
    pairs = [(int(rows[order[k]]), int(rows[order[k + 1]])) for k in np.flatnonzero(same)[:1000]]
    wrong = [(a, b) for a, b in pairs if not _same_geometry(structures[a], structures[b])]
    if wrong:
        named = [_sources(structures, pair) for pair in wrong[:_SHOWN]]
        summary = (
            f"{name}: {len(wrong)} structures have exactly the forces of another geometry, as {named[0][1]} those of "
            f"{named[0][0]}: labels went to the wrong frame"
        )
        evidence = {"count": len(wrong), "pairs": [list(pair) for pair in named]}
        yield Finding("repeated-forces", "error", summary, tuple(pair[1] for pair in named), evidence)


def _sources(structures: Sequence[Structure], places: Any) -> tuple[str, ...]:
    return tuple(structures[int(k)].source for k in places[:_SHOWN])


def _same_geometry(a: Structure, b: Structure) -> bool:
    """The same up to translation."""
    moved = (
        (a.positions - a.positions[0]) - (b.positions - b.positions[0]) if len(a) == len(b) else np.ones(1)
    )
    return bool(np.abs(moved).max() < 1e-4 and np.abs(a.cell - b.cell).max() < 1e-4)
