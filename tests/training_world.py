"""A small world to train in: clusters of H, C and O under a Morse potential, energies and forces exact."""

import numpy as np

from hermtk.data.structure import Structure

DEPTH, WIDTH, REST = 1.2, 1.6, 1.3


def morse(positions: np.ndarray) -> tuple[float, np.ndarray]:
    """Energy and forces of a cluster: every pair, eV and eV/Angstrom."""
    delta = positions[None] - positions[:, None]
    distance = np.linalg.norm(delta, axis=-1) + np.eye(len(positions))
    decay = np.exp(-WIDTH * (distance - REST))
    pair = DEPTH * (decay**2 - 2 * decay)
    slope = 2 * DEPTH * WIDTH * (decay - decay**2)
    np.fill_diagonal(pair, 0.0)
    np.fill_diagonal(slope, 0.0)
    return 0.5 * pair.sum(), (slope[..., None] * delta / distance[..., None]).sum(1)


def clusters(n: int, seed: int = 0) -> list[Structure]:
    """Rattled six-atom clusters with their labels."""
    rng = np.random.default_rng(seed)
    base = 1.3 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1.0]])
    found = []
    for k in range(n):
        positions = base + rng.normal(scale=0.08, size=base.shape)
        energy, forces = morse(positions)
        numbers = np.array([6, 1, 8, 1, 6, 1])
        found.append(
            Structure(numbers, positions, energy=energy - 500.0, forces=forces, source=f"cluster:{k}")
        )
    return found
