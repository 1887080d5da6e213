"""One thread, and a few labelled structures."""

import numpy as np
import pytest
import torch

from hermtk.data.structure import Structure

torch.set_num_threads(1)


@pytest.fixture
def world() -> list[Structure]:
    """Rattled water-like triples under springs between all atoms."""
    rng = np.random.default_rng(0)
    base = np.array([[0, 0, 0], [0.97, 0, 0], [-0.24, 0.94, 0]])
    found = []
    for _ in range(12):
        positions = base + rng.normal(scale=0.05, size=base.shape)
        delta = positions[None] - positions[:, None]
        stretch = np.linalg.norm(delta, axis=-1) - np.linalg.norm(base[None] - base[:, None], axis=-1)
        unit = delta / (np.linalg.norm(delta, axis=-1) + np.eye(3))[..., None]
        forces = 2 * (stretch[..., None] * unit).sum(1)
        found.append(
            Structure(np.array([8, 1, 1]), positions, energy=float(0.5 * (stretch**2).sum()), forces=forces)
        )
    return found
