"""The published networks restated atom by atom and edge by edge with numpy: slow, and without anything from the package."""

from collections.abc import Mapping, Sequence

import numpy as np
from ase.data import chemical_symbols

Array = np.ndarray
Edge = tuple[int, int, Array]  # source, destination, the vector that is measured between them
EPS = 1e-5


def energies(
    weights: Mapping[str, Array], numbers: Sequence[int], edges: Sequence[Edge], batch: Sequence[int], *,
    layers: int, cutoff: float, intensive: bool = False,
) -> tuple[Array, list[tuple[Array, Array]]]:  # fmt: skip
    """Energies of the structures, and s [A, F] and v [A, F, 3] after each layer."""
    kinds = [chemical_symbols[z] for z in numbers]
    s = weights["embed.weight"][list(numbers)]
    v = np.zeros((*s.shape, 3))
    features = []
    for layer in range(1, layers + 1):
        s, v = _layer(weights, f"hermconv{layer}.mods.", s, v, kinds, edges, cutoff)
        features.append((s, v))
    found = []
    for structure in range(max(batch) + 1):
        rows = s[np.array(batch) == structure]
        pool = rows.mean(0) if intensive else rows.sum(0)
        found.append(_linear(weights, "fc.3", _ssp(_linear(weights, "fc.0", pool)))[0])
    return np.array(found), features


def _layer(weights, start, s, v, kinds, edges, cutoff):
    names = {name.removeprefix(start).split(".")[0] for name in weights if name.startswith(start)}
    outcomes = []
    for name in sorted(names):
        ends = name.split("-")
        middle = ends[len(ends) // 2]
        sides = {ends[0], ends[-1]} if len(ends) == 3 else set(kinds)
        held = [edge for edge in edges if kinds[edge[1]] == middle and kinds[edge[0]] in sides]
        if held:
            outcomes.append(_relation(weights, start + name, ends, s, v, kinds, held, cutoff))
    if not outcomes:
        return s, v
    return tuple(np.mean(parts, axis=0) for parts in zip(*outcomes, strict=True))


def _relation(weights, where, ends, s, v, kinds, edges, cutoff):
    triad = len(ends) == 3
    s1, v1 = s.copy(), v.copy()
    for source, destination, vector in edges:
        r = np.sqrt(vector @ vector + EPS)
        rho = np.sqrt(r**2 + EPS)
        n_basis = weights[f"{where}.mv.weight"].shape[1]
        basis = np.array([np.sin(k * np.pi * rho / cutoff) / rho for k in range(1, n_basis + 1)])
        filtered = _linear(weights, f"{where}.mv", basis)
        filtered = _fade(np.linalg.norm(filtered), cutoff) if triad else _fade(r, cutoff) * filtered
        phi = _linear(weights, f"{where}.ms2", _ssp(_linear(weights, f"{where}.ms1", s[source])))
        a, b, c = np.split(phi * filtered, 3)
        s1[destination] += b
        v1[destination] += v[source] * a[:, None] + np.outer(c, vector / r)
    s2, v2 = s1.copy(), v1.copy()
    for atom in {edge[1] for edge in edges}:
        sources = [edge[0] for edge in edges if edge[1] == atom]
        q = np.mean([_update(weights, where, s1[u], v1[u], triad) for u in sources], axis=0)
        alpha, beta, gamma = np.split(q, 3)
        mean = np.mean([v1[u] for u in sources], axis=0)
        angle = (mean**2).sum(1) / ((mean**2).sum(1) + EPS)
        if triad and ends[0] != ends[2]:
            one, two = (sum(v1[u] * (kinds[u] == end) for u in sources) / len(sources) for end in ends[::2])
            angle = (one * two).sum(1) / (_length(one) * _length(two))
        s2[atom] += angle * beta + gamma
        v2[atom] += alpha[:, None] * mean
    return s2, v2


def _update(weights, where, s, v, triad):
    seen = s if triad else np.concatenate([_length(v), s])
    return _linear(weights, f"{where}.us2", _ssp(_linear(weights, f"{where}.us1", seen)))


def _linear(weights, name, x):
    return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]


def _ssp(x):
    return np.logaddexp(x, 0) - np.log(2)


def _length(v):
    return np.sqrt((v**2).sum(-1) + EPS)


def _fade(length, cutoff):
    return 0.5 * (np.cos(np.pi * (length + EPS) / cutoff) + 1)
