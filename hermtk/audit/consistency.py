"""Whether energies, forces and stresses agree with each other: units, signs, orders, and frames that do not belong.

A probe potential (``probe.py``) is fitted to forces and energies together under one assumption after the other: that they belong
together as they stand, that energies are in kcal/mol, that forces are gradients, and so on. The right one fits far better.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np

from hermtk.audit.energies import alike, energies, spread
from hermtk.audit.findings import Finding, Sets
from hermtk.audit.stress import stress
from hermtk.audit.totals import totals
from hermtk.audit.work import work
from hermtk.audit.yardstick import FOLDS, Examined, Fit, Yardstick
from hermtk.data.store import labelled
from hermtk.data.structure import Structure
from hermtk.units import ENERGY, LENGTH

Array = np.ndarray
# fewer structures than this cannot carry a fit
FEWEST = 4 * FOLDS
# and of more than this a random choice is looked at
LOOKED_AT = 20_000
# another assumption has to leave less than this share of what the plain one leaves
BETTER = 0.5
# more than this unexplained of the forces and single frames cannot be judged
LOOSE = 0.25
# more than this unexplained of forces and energies together and nothing can be said
BLIND = 0.8
# and frames one after the other say something where their work explains this much of the changes of energy
WORK = 0.8

_KCAL, _KJ, _HA, _RY, _BOHR = (
    ENERGY["kcal/mol"],
    ENERGY["kJ/mol"],
    ENERGY["Ha"],
    ENERGY["Ry"],
    LENGTH["Bohr"],
)
# energies over what forces integrate to -> what is then wrong, and in words
RATIOS: dict[float, tuple[str, str]] = {
    1 / _KCAL: ("energy-unit", "energies in kcal/mol, forces in eV/Angstrom"),
    1 / _KJ: ("energy-unit", "energies in kJ/mol, forces in eV/Angstrom"),
    1 / _HA: ("energy-unit", "energies in Hartree, forces in eV/Angstrom"),
    1 / _RY: ("energy-unit", "energies in Rydberg, forces in eV/Angstrom"),
    1e3: ("energy-unit", "energies in meV, forces in eV/Angstrom"),
    _KCAL: ("force-unit", "forces in kcal/mol/Angstrom, energies in eV"),
    _KJ: ("force-unit", "forces in kJ/mol/Angstrom, energies in eV"),
    _HA / _BOHR: ("force-unit", "forces in Hartree/Bohr, energies in eV"),
    _RY / _BOHR: ("force-unit", "forces in Rydberg/Bohr, energies in eV"),
    1 / _BOHR: ("force-unit", "forces per Bohr, energies and positions per Angstrom"),
    _BOHR: ("length-unit", "positions in Bohr, forces per Angstrom"),
    10.0: ("length-unit", "positions in nm, forces per Angstrom"),
}


def consistency(sets: Sets) -> Iterator[Finding]:
    """Findings on each set that has energies and forces."""
    for name, structures in sets.items():
        yield from totals(name, structures)
        places = np.flatnonzero(labelled(structures, "energy") & labelled(structures, "forces"))
        chosen = np.sort(np.random.default_rng(0).permutation(places)[:LOOKED_AT])
        if len(chosen) >= FEWEST:
            yield from _examine(name, [structures[k] for k in chosen.tolist()])


def _examine(name: str, structures: Sequence[Structure]) -> Iterator[Finding]:
    if not any(len(s) > 1 for s in structures):
        return
    yardstick = Yardstick(structures)
    found, ratio, fit = _ratio(name, yardstick)
    yield from found
    if fit is None:
        yield from _along_trajectories(name, structures)
        return
    if fit.forces < LOOSE:
        # once more without the energies that are off, so that they do not bend the probe
        rest = yardstick.energy_residuals(fit, ratio)
        heed = np.abs(rest - np.median(rest)) < 5 * spread(rest) + 1e-12
        seen = yardstick.examine(yardstick.without(ratio, heed), ratio)
        yield from _strange_forces(name, seen)
        yield from energies(name, seen)
    yield from stress(name, yardstick, fit, np.sign(ratio))


def _ratio(name: str, yardstick: Yardstick) -> tuple[list[Finding], float, Fit | None]:
    """The ratio of energies to forces that explains both best; no fit where the probe cannot tell."""
    trials = {ratio: yardstick.fit(ratio) for ratio in (1.0, -1.0, *RATIOS)}
    plain = trials[1.0]
    if trials[-1.0].unexplained < plain.unexplained:
        trials |= {-ratio: yardstick.fit(-ratio) for ratio in RATIOS}
    best = min(trials, key=lambda ratio: trials[ratio].unexplained)
    numbers = {
        "unexplained": round(float(plain.unexplained), 4),
        "unexplained_by_ratio": {
            f"{ratio:.4g}": round(float(fit.unexplained), 4) for ratio, fit in trials.items()
        },
        "structures": len(yardstick.sample),
    }
    if trials[best].unexplained > BLIND:
        summary = (
            f"{name}: whether energies and forces belong together could not be judged: the probe leaves "
            f"{plain.forces:.0%} of the forces and {plain.energies:.0%} of the energies unexplained"
        )
        return [Finding("consistency-unknown", "note", summary, evidence=numbers)], 1.0, None
    if best == 1.0 or trials[best].unexplained > BETTER * plain.unexplained:
        summary = (
            f"{name}: energies and forces belong together: a probe potential explains {1 - plain.forces:.1%} of the forces "
            f"and {1 - plain.energies:.1%} of the energies of {len(yardstick.sample)} structures"
        )
        return [Finding("consistent", "note", summary, evidence=numbers)], 1.0, plain
    # units whose ratios are nearly the same cannot be told apart: the likelier mistakes stand first
    sign, limit = np.sign(best), 1.3 * trials[best].unexplained + 0.01
    as_good = [r for r in (1.0, *RATIOS) if sign * r in trials and trials[sign * r].unexplained < limit]
    found, said = [], f"energies are about {best:.4g} times what the forces integrate to"
    if sign < 0:
        found.append(("force-sign", "forces of the wrong sign (they are gradients, +dE/dx)"))
    if abs(best) != 1.0 and 1.0 not in as_good:
        kind, _ = RATIOS[as_good[0]]
        found.append((kind, ", or ".join(RATIOS[ratio][1] for ratio in as_good)))
    remains = f"so read, {trials[best].unexplained:.3f} of both remains unexplained, as they stand {plain.unexplained:.3f}"
    evidence = {**numbers, "ratio": float(best)}
    return (
        [
            Finding(kind, "error", f"{name}: {words}? {said}: {remains}", evidence=evidence)
            for kind, words in found
        ],
        best,
        trials[best],
    )


def _along_trajectories(name: str, structures: Sequence[Structure]) -> Iterator[Finding]:
    """Where the probe is blind: energies against the work of forces from one frame to the next."""
    found = work(structures)
    if found is None or found.explained < WORK:
        return
    evidence = asdict(found)
    slopes = {sign * ratio: (sign, ratio) for ratio in (1.0, *RATIOS) for sign in (1.0, -1.0)}
    nearest = min(
        slopes, key=lambda slope: abs(np.log(found.ratio / slope)) if found.ratio * slope > 0 else np.inf
    )
    sign, ratio = slopes[nearest]
    said = f"from one frame to the next energies change by {found.ratio:.4g} times the work of the forces ({found.steps} steps)"
    if nearest == 1.0:
        yield Finding("consistent", "note", f"{name}: {said}", evidence=evidence)
    if sign < 0:
        words = "forces of the wrong sign (they are gradients, +dE/dx)"
        yield Finding("force-sign", "error", f"{name}: {words}? {said}", evidence=evidence)
    if ratio != 1.0:
        kind, words = RATIOS[ratio]
        yield Finding(kind, "error", f"{name}: {words}? {said}", evidence=evidence)


def _strange_forces(name: str, seen: Examined) -> Iterator[Finding]:
    """Frames whose forces have nothing to do with their geometry, where those of the others have."""
    left, labels, predicted = seen.forces.T
    typical = float(np.median(left))
    size = np.sqrt(np.mean(labels**2))
    strange = (left > 6 * typical) & (left > np.maximum(0.8 * predicted, 0.2 * size)) & (left > 0.7 * labels)
    # where the probe itself says something absurd, it has seen nothing like that geometry
    strange &= predicted < 3 * np.maximum(size, labels)
    # and where it fails for everything alike, it is not the labels of one frame
    if strange.any() and (found := alike(seen.phi)) is not None:
        around, alone = found
        strange &= left > 4 * alone * np.median(left[around], axis=1)
    worst = np.flatnonzero(strange)[np.argsort(-left[strange])]
    if not len(worst):
        return
    first = seen.structures[worst[0]]
    summary = (
        f"{name}: the forces of {len(worst)} structures do not belong to their geometry, the worst is {first.source}: "
        f"{left[worst[0]]:.2f} eV/Angstrom (rms) away from the probe, {typical:.2f} is usual; "
        "forces of another frame, or a calculation that did not converge"
    )
    sources = tuple(seen.structures[k].source for k in worst[:10])
    evidence = {"count": len(worst), "rms": [round(float(left[k]), 4) for k in worst[:10]], "usual": typical}
    yield Finding("force-outliers", "warning", summary, sources, evidence)
