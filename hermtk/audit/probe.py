"""A probe potential: pairs and triplets, linear in its weights, fitted in seconds to what a set says of itself.

It is not a model to use. It is the yardstick that labels are held against: fitted to forces alone it predicts energies and
stresses up to constants, and where the labels are then 23 times larger, of the other sign, or off in single frames, they
disagree among themselves.

E = sum_Z n_Z e_Z + sum_k w_k Phi_k, with Phi = 1/2 sum_ij g_b(r_ij) per pair of elements, and sum_i A_q.A_q' per centre
element, where A_q(i) = sum_j f_m(r_ij) Y_l(r_ij), l = 0, 1, 2: the power spectrum of Bartok, Kondor and Csanyi,
Phys. Rev. B 87, 184115 (2013).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from hermtk.data.structure import Structure
from hermtk.graph.neighbors import neighbor_pairs

Array = np.ndarray
# edges times features worked on at once: bounds memory
_CHUNK = 4e6
# a structure with more of them is left out
_TOO_LARGE = 4e7
# radial functions of triplets by the number of elements: the features grow with its cube
_TRIPLETS = {1: 4, 2: 3, 3: 3, 4: 2, 5: 1}
# with more elements than this they are not told apart
_TYPED = 8


@dataclass(frozen=True)
class Rows:
    """What the features say of some structures: S structures, A atoms, K features.

    Attributes:
        energy: [S, K].
        forces: [A, 3, K], minus the derivatives with respect to positions.
        virial: [S, 6, K], derivatives with respect to strain, in the order xx, yy, zz, yz, xz, xy.
        structure: structure of each atom [A].
    """

    energy: Array
    forces: Array
    virial: Array
    structure: Array


class Features:
    """The functions Phi for a list of elements and a cut-off (Angstrom)."""

    def __init__(self, elements: Sequence[int], cutoff: float, knots: int = 18) -> None:
        self.elements, self.cutoff = tuple(elements), cutoff
        n = len(self.elements)
        self.typed = n <= _TYPED
        self.kinds = n if self.typed else 1
        self.index = np.full(119, -1)
        self.index[list(self.elements)] = range(n) if self.typed else 0
        # spacing by volume of shells would starve bonds: equal spacing from 0.5 Angstrom
        self.centers = np.linspace(0.5, cutoff, knots)
        self.width = self.centers[1] - self.centers[0]
        self.pairs = np.zeros((self.kinds, self.kinds), dtype=int)
        for k, (a, b) in enumerate(zip(*np.triu_indices(self.kinds), strict=True)):
            self.pairs[a, b] = self.pairs[b, a] = k
        self.n_pair = (int(self.pairs.max()) + 1) * knots
        radial = _TRIPLETS.get(self.kinds, 0)
        self.triplet_centers = np.linspace(1.0, min(cutoff, 4.5), radial + 1)[:-1] if radial else np.zeros(0)
        self.triplet_width = 3.5 / max(radial, 1)
        self.channels = self.kinds * radial
        self.upper = np.triu_indices(self.channels)
        self.place = np.zeros((self.channels, self.channels), dtype=int)
        self.place[self.upper] = self.place[self.upper[::-1]] = np.arange(len(self.upper[0]))
        self.per_center = 3 * len(self.upper[0])
        self.size = self.n_pair + self.kinds * self.per_center

    def chunks(self, structures: Sequence[Structure]) -> Iterator[tuple[list[int], Rows]]:
        """Rows for as many structures at a time as fit, with their places in ``structures``; none for very large structures."""
        waiting, edges = [], 0
        for place, s in enumerate(structures):
            pairs = neighbor_pairs(s.positions, s.cell, s.pbc, self.cutoff)
            if len(pairs.center) * self.size > _TOO_LARGE:
                continue
            waiting.append((place, s, pairs))
            edges += len(pairs.center)
            if edges * self.size >= _CHUNK:
                yield [w[0] for w in waiting], self._rows(waiting)
                waiting, edges = [], 0
        if waiting:
            yield [w[0] for w in waiting], self._rows(waiting)

    def _rows(self, several: Sequence[tuple[int, Structure, tuple[Array, Array, Array]]]) -> Rows:
        starts = np.cumsum([0, *(len(s) for _, s, _ in several)])
        of = np.repeat(np.arange(len(several)), np.diff(starts))
        kind = self.index[np.concatenate([s.numbers for _, s, _ in several])]
        i = np.concatenate([p[0] + start for (_, _, p), start in zip(several, starts, strict=False)])
        j = np.concatenate([p[1] + start for (_, _, p), start in zip(several, starts, strict=False)])
        vectors = np.concatenate(
            [s.positions[p[1]] - s.positions[p[0]] + p[2] @ s.cell for _, s, p in several]
        )
        r = np.linalg.norm(vectors, axis=1)
        values, slopes = self._pair(kind[i], kind[j], r, vectors)
        shares = np.zeros((len(kind), self.size))
        shares[:, : self.n_pair] = _sum(i, len(kind), values)
        if self.channels:
            shares[:, self.n_pair :], more = self._triplets(kind, i, j, r, vectors)
            slopes = np.concatenate([slopes, more], axis=2)
        received = _sum(i, len(kind), slopes.reshape(len(i), -1)) - _sum(
            j, len(kind), slopes.reshape(len(i), -1)
        )
        virial = np.empty((len(several), 6, self.size))
        for k, (x, y) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
            virial[:, k] = _sum(of[i], len(several), vectors[:, x, None] * slopes[:, y])
        energy = _sum(of, len(several), shares)
        return Rows(
            energy,
            received.reshape(len(kind), 3, self.size).astype(np.float32),
            virial.astype(np.float32),
            of,
        )

    def _pair(self, a: Array, b: Array, r: Array, vectors: Array) -> tuple[Array, Array]:
        """Values [E, K] and slopes [E, 3, K] of the pair functions; an edge is half a pair."""
        fade, steep = _fade(r, self.cutoff)
        x = (r[:, None] - self.centers) / self.width
        bell = np.exp(-0.5 * x**2)
        g = 0.5 * bell * fade[:, None]
        dg = 0.5 * bell * (steep[:, None] - x / self.width * fade[:, None])
        values = np.zeros((len(r), self.n_pair))
        slope = np.zeros((len(r), self.n_pair))
        columns = self.pairs[a, b][:, None] * len(self.centers) + np.arange(len(self.centers))
        np.put_along_axis(values, columns, g, axis=1)
        np.put_along_axis(slope, columns, dg, axis=1)
        return values, (vectors / r[:, None])[:, :, None] * slope[:, None, :]

    def _triplets(self, kind: Array, i: Array, j: Array, r: Array, vectors: Array) -> tuple[Array, Array]:
        """Shares [A, K] and slopes [E, 3, K] of the power spectra, centre element by centre element."""
        atoms, radial = len(kind), len(self.triplet_centers)
        fade, steep = _fade(r, self.cutoff)
        x = (r[:, None] - self.triplet_centers) / self.triplet_width
        bell = np.exp(-0.5 * x**2)
        f, df = bell * fade[:, None], bell * (steep[:, None] - x / self.triplet_width * fade[:, None])
        column = kind[j][:, None] * radial + np.arange(radial)
        shares = np.zeros((atoms, self.kinds, self.per_center))
        slopes = np.zeros((len(r), 3, self.kinds, self.per_center))
        angular, turning = _harmonics(vectors, r)
        spectrum = len(self.upper[0])
        rows = np.arange(len(r))[:, None]
        for order, (first, last) in enumerate(((0, 1), (1, 4), (4, 10))):
            width = last - first
            y, dy = angular[:, first:last], turning[:, first:last]
            edge = np.zeros((len(r), self.channels, width))
            edge[rows, column] = f[:, :, None] * y[:, None, :]
            a = _sum(i, atoms, edge.reshape(len(r), -1)).reshape(atoms, self.channels, width)
            products = np.einsum("aqc,apc->aqp", a, a)
            place = slice(order * spectrum, (order + 1) * spectrum)
            np.put_along_axis(
                shares[:, :, place],
                kind[:, None, None],
                products[:, self.upper[0], self.upper[1]][:, None],
                axis=1,
            )
            # d(f y)/dr, component by component, contracted with what the centre has gathered: [E, radial, channels, 3]
            unit = vectors / r[:, None]
            turned = (
                df[:, :, None, None] * y[:, None, :, None] * unit[:, None, None, :]
                + f[:, :, None, None] * dy[:, None]
            )
            pulled = np.einsum("emcx,eqc->emqx", turned, a[i])
            both = np.zeros((len(r), 3, spectrum))
            for m in range(radial):
                mine = column[:, m]
                to = self.place[mine]
                amount = pulled[:, m] * (1.0 + (np.arange(self.channels) == mine[:, None]))[:, :, None]
                for axis in range(3):
                    both[rows, axis, to] += amount[:, :, axis]
            slopes[np.arange(len(r)), :, kind[i], place] = both
        return shares.reshape(atoms, -1), slopes.reshape(len(r), 3, -1)


def _fade(r: Array, cutoff: float) -> tuple[Array, Array]:
    """A factor that falls smoothly to zero at the cut-off, and its derivative."""
    x = np.clip(1 - r / cutoff, 0, 1)
    return x**2, -2 * x / cutoff


def _harmonics(vectors: Array, r: Array) -> tuple[Array, Array]:
    """1, the unit vector, and its traceless square (six components, off-diagonals weighted by sqrt 2): [E, 10], [E, 10, 3]."""
    u = vectors / r[:, None]
    du = (np.eye(3) - u[:, :, None] * u[:, None, :]) / r[:, None, None]
    values, slopes = np.zeros((len(r), 10)), np.zeros((len(r), 10, 3))
    values[:, 0], values[:, 1:4], slopes[:, 1:4] = 1.0, u, du
    for k, (x, y) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
        weight = 1.0 if x == y else np.sqrt(2.0)
        values[:, 4 + k] = weight * (u[:, x] * u[:, y] - (x == y) / 3)
        slopes[:, 4 + k] = weight * (du[:, x] * u[:, y, None] + u[:, x, None] * du[:, y])
    return values, slopes


def _sum(index: Array, rows: int, values: Array) -> Array:
    """Rows of ``values`` added up by ``index``."""
    ones = csr_matrix((np.ones(len(index)), (index, np.arange(len(index)))), shape=(rows, len(index)))
    return ones @ values
