"""The probe potential fitted to a set: out of fold, by ridge regression, for any ratio of energies to forces."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hermtk.audit.probe import Features, Rows
from hermtk.data.statistics import elements_of
from hermtk.data.structure import Structure

Array = np.ndarray
CUTOFF = 5.0
FOLDS = 4
# structures of a composition that give it a constant of its own
MEMBERS = 6
# what is kept of the features: structures, and bytes
_MOST_STRUCTURES = 1000
_MOST_BYTES = 300e6
_RIDGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)


@dataclass(frozen=True)
class Fit:
    """Weights of each fold, fitted without it, and what they leave unexplained there.

    Attributes:
        weights: [folds, K].
        forces, energies: share of the square of forces, and of the square of energies per atom without their composition's
            part, that is not explained out of fold: 0 where the probe is exact, 1 where it is worth nothing.
        offsets: energies per element for each fold [folds, elements], in the labels' unit.
    """

    weights: Array
    forces: float
    energies: float
    offsets: Array

    @property
    def unexplained(self) -> float:
        """Of forces and energies together: between 0 and about 2."""
        return self.forces + self.energies


@dataclass(frozen=True)
class Examined:
    """What the probe says of structures, those of its sample out of fold and others besides: S structures.

    Attributes:
        structures: the structures.
        phi: features per atom [S, K].
        energies: labels minus what the probe says, per atom [S], in the labels' unit.
        forces: root mean squares over each structure's components [S, 3]: of labels minus probe, of labels, of the probe.
    """

    structures: list[Structure]
    phi: Array
    energies: Array
    forces: Array


class Yardstick:
    """Features of a sample of structures that have energies and forces, ready to be fitted."""

    def __init__(self, structures: Sequence[Structure], seed: int = 0) -> None:
        self.structures = structures
        self.elements = elements_of(structures)
        self.features = Features(self.elements, CUTOFF)
        self.rows: list[tuple[Array, Rows]] = []
        self._read(seed)

    def _read(self, seed: int) -> None:
        order = np.random.default_rng(seed).permutation(len(self.structures))
        size, kept = 0.0, []
        chosen = [self.structures[i] for i in order[:_MOST_STRUCTURES]]
        for places, rows in self.features.chunks(chosen):
            self.rows.append((order[places], rows))
            kept += [chosen[k] for k in places]
            size += rows.forces.nbytes
            if size > _MOST_BYTES:
                break
        known = set(np.concatenate([places for places, _ in self.rows]).tolist())
        self.others = [int(k) for k in order if int(k) not in known]
        self.sample = kept
        self.fold = np.arange(len(kept)) % FOLDS
        self.atoms = np.array([len(s) for s in kept], dtype=float)
        self.fractions = np.array([[np.mean(s.numbers == z) for z in self.elements] for s in kept])
        self.energies = np.array([s.energy for s in kept], dtype=float) / self.atoms
        self.phi = np.concatenate([rows.energy for _, rows in self.rows]).astype(float) / self.atoms[:, None]
        self._force_equations()
        self._energy_equations()
        # a few energies that are wildly off would hide everything else
        rest = np.array([self.per_fold[f][k, 0] for k, f in enumerate(self.fold)])
        wild = np.abs(rest - np.median(rest)) > 10 * np.median(np.abs(rest - np.median(rest))) + 1e-12
        self.heed = ~wild if wild.mean() < 0.15 else np.ones(len(rest), dtype=bool)
        self.ridge = min(_RIDGES, key=lambda ridge: self._solve(None, ridge).forces)

    def _force_equations(self) -> None:
        k = self.features.size
        self.jj, self.jf, self.ff = np.zeros((FOLDS, k, k)), np.zeros((FOLDS, k)), np.zeros(FOLDS)
        first = 0
        for places, rows in self.rows:
            fold = self.fold[first : first + len(places)]
            forces = np.concatenate(
                [s.forces for s in self.sample[first : first + len(places)] if s.forces is not None]
            )
            for f in range(FOLDS):
                here = fold[rows.structure] == f
                j, wanted = rows.forces[here].reshape(-1, k).astype(float), forces[here].reshape(-1)
                self.jj[f] += j.T @ j
                self.jf[f] += j.T @ wanted
                self.ff[f] += wanted @ wanted
            first += len(places)

    def _energy_equations(self) -> None:
        # per fold: what is left of energies and features when the composition's part is taken off, fitted on the others
        self.per_fold = []
        both, design = np.column_stack([self.energies, self.phi]), self._compositions()
        for f in range(FOLDS):
            learned = self.fold != f
            offsets = np.linalg.lstsq(design[learned], both[learned], rcond=None)[0]
            self.per_fold.append(both - design @ offsets)

    def _compositions(self) -> Array:
        """Which composition a structure has [S, compositions]; where most are rare, how much of each element [S, elements].

        With a constant for each composition, references that differ between them do not matter.
        """
        _, group = np.unique(np.round(self.fractions, 6), axis=0, return_inverse=True)
        members = np.bincount(group.reshape(-1))
        common = np.flatnonzero(members >= MEMBERS)
        if members[common].sum() < 0.7 * len(group):
            return self.fractions
        rare = members[group.reshape(-1)] < MEMBERS
        return np.column_stack([group.reshape(-1)[:, None] == common, rare[:, None] * self.fractions]).astype(
            float
        )

    def fit(self, ratio: float | None = 1.0) -> Fit:
        """Fit to forces and to energies that are ``ratio`` times what those forces integrate to; None for forces alone."""
        return self._solve(ratio, self.ridge)

    def _solve(self, ratio: float | None, ridge: float, heed: Array | None = None) -> Fit:
        weights, offsets = [], []
        left_forces = left_energies = all_forces = all_energies = 0.0
        heed = self.heed if heed is None else heed & self.heed
        for f in range(FOLDS):
            others = [g for g in range(FOLDS) if g != f]
            scale = self.ff[others].sum()
            learned, rest = (self.fold != f) & heed, self.per_fold[f]
            e, phi = rest[:, 0], rest[:, 1:]
            matrix, right = self.jj[others].sum(0) / scale, self.jf[others].sum(0) / scale
            size = np.sqrt(np.diag(matrix))
            size = np.maximum(size, 1e-6 * size.max() + 1e-300)
            if ratio is not None:
                spread = (e[learned] ** 2).sum() + 1e-300
                matrix = matrix + ratio**2 / spread * phi[learned].T @ phi[learned]
                right = right + ratio / spread * phi[learned].T @ e[learned]
            matrix = matrix / size[:, None] / size + ridge * np.eye(len(size))
            w = np.linalg.solve(matrix, right / size) / size
            mine = (self.fold == f) & heed
            left_forces += self.ff[f] - 2 * self.jf[f] @ w + w @ self.jj[f] @ w
            all_forces += self.ff[f]
            left_energies += ((e[mine] - (ratio or 1.0) * phi[mine] @ w) ** 2).sum()
            all_energies += (e[mine] ** 2).sum()
            weights.append(w)
            left_over = self.energies - (ratio or 1.0) * self.phi @ w
            offsets.append(np.linalg.lstsq(self.fractions[learned], left_over[learned], rcond=None)[0])
        return Fit(
            np.array(weights),
            left_forces / max(all_forces, 1e-300),
            left_energies / max(all_energies, 1e-300),
            np.array(offsets),
        )

    def without(self, ratio: float, heed: Array) -> Fit:
        """The same fit, heeding only the energies that ``heed`` [S] marks."""
        return self._solve(ratio, self.ridge, heed)

    def energy_residuals(self, fit: Fit, ratio: float = 1.0) -> Array:
        """Labels minus what the probe says out of fold, per atom [S], in the labels' unit."""
        predicted = np.einsum("sk,sk->s", self.phi, fit.weights[self.fold]) * ratio
        return self.energies - predicted - np.einsum("se,se->s", self.fractions, fit.offsets[self.fold])

    def examine(self, fit: Fit, ratio: float) -> Examined:
        """Every structure of the sample, out of fold, and all others."""
        structures, phi = list(self.sample), [self.phi]
        energies, forces, first = [self.energy_residuals(fit, ratio)], [], 0
        for places, rows in self.rows:
            for k in range(len(places)):
                predicted = rows.forces[rows.structure == k] @ fit.weights[self.fold[first + k]]
                forces.append(_sizes(self.sample[first + k], predicted))
            first += len(places)
        weights, offsets = fit.weights.mean(axis=0), fit.offsets.mean(axis=0)
        others = [self.structures[int(k)] for k in self.others]
        for places, rows in self.features.chunks(others):
            here = [others[k] for k in places]
            atoms = np.array([len(s) for s in here], dtype=float)
            each = rows.energy / atoms[:, None]
            fractions = np.array([[np.mean(s.numbers == z) for z in self.elements] for s in here])
            labels = np.array([s.energy for s in here], dtype=float) / atoms
            energies.append(labels - ratio * each @ weights - fractions @ offsets)
            forces += [_sizes(s, rows.forces[rows.structure == k] @ weights) for k, s in enumerate(here)]
            phi.append(each)
            structures += here
        return Examined(structures, np.concatenate(phi), np.concatenate(energies), np.array(forces))

    def stresses(self, fit: Fit) -> Array:
        """What the probe says of the stress out of fold [S, 6], xx, yy, zz, yz, xz, xy; NaN without a cell."""
        virials = np.concatenate([rows.virial for _, rows in self.rows])
        volumes = np.array([s.volume for s in self.sample])
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.einsum("sxk,sk->sx", virials, fit.weights[self.fold]) / volumes[:, None]
        return np.where(volumes[:, None] > 0, values, np.nan)


def _sizes(s: Structure, predicted: Array) -> list[float]:
    labels = s.forces if s.forces is not None else np.zeros_like(predicted)
    return [float(np.sqrt(np.mean(x**2))) for x in (labels - predicted, labels, predicted)]
