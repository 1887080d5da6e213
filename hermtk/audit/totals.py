"""Whether energies are total energies in eV, by their size alone."""

from collections.abc import Iterator, Sequence

import numpy as np

from hermtk.audit.findings import Finding
from hermtk.data.structure import Structure
from hermtk.units import ENERGY

# Ha, the atoms from hydrogen to argon with all electrons: Chakravorty et al., Phys. Rev. A 47, 3649 (1993)
_LIGHT = (0.5, 2.9037, 7.4781, 14.6674, 24.6539, 37.8450, 54.5892, 75.0673, 99.7339, 128.9376)
_HEAVIER = (162.2546, 200.053, 242.346, 289.359, 341.259, 398.110, 460.148, 527.540)
ATOMS = -ENERGY["Ha"] * np.array([*_LIGHT, *_HEAVIER])


def totals(name: str, structures: Sequence[Structure]) -> Iterator[Finding]:
    """Energies that are not totals, or not in eV, by their size alone.

    What calculations with all electrons give is that of the atoms within a percent (``ATOMS``); with heavier elements than argon,
    or pseudopotentials, nothing can be said.
    """
    chosen = [structures[k] for k in range(0, len(structures), max(1, len(structures) // 500))]
    chosen = [s for s in chosen if s.energy is not None]
    if not chosen:
        return
    energies, sizes = np.array([float(s.energy or 0.0) for s in chosen]), np.array([len(s) for s in chosen])
    ratio = _over_atoms(chosen)
    for unit, factor in ENERGY.items():
        if unit != "eV" and ratio is not None and abs(ratio * factor - 1) < 0.012:
            summary = (
                f"{name}: energies in {unit}? They are {ratio:.4g} times the total energy, in eV, of all electrons of these "
                "elements"
            )
            yield Finding("energy-unit", "error", summary, evidence={"ratio": ratio, "unit": unit})
    expected = np.std(sizes) * np.median(np.abs(energies) / sizes)
    if sizes.max() > 2 * sizes.min() and np.std(energies) < 0.1 * expected:
        summary = (
            f"{name}: energies per atom? Structures have {sizes.min()} to {sizes.max()} atoms, but their energies all lie near "
            f"{np.median(energies):.4g} eV; total energies are wanted"
        )
        yield Finding("energy-per-atom", "error", summary, evidence={"sd": float(np.std(energies))})


def _over_atoms(structures: Sequence[Structure]) -> float | None:
    """The median of energies over those of the atoms; None where there are heavier elements or energies of several kinds."""
    if max(int(s.numbers.max()) for s in structures) > len(ATOMS):
        return None
    ratios = np.array([float(s.energy or 0.0) / ATOMS[s.numbers - 1].sum() for s in structures])
    ratio = float(np.median(ratios))
    return ratio if np.abs(ratios - ratio).max() < 0.02 * abs(ratio) else None
