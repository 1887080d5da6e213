"""A small potential and structures for it: molecules and skewed crystals of H, C and O."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hermtk.data.structure import Structure
from hermtk.models.build import build_model
from hermtk.models.config import ModelConfig
from hermtk.models.potential import Potential
from hermtk.testing.structures import crystal, molecule

LABELS = np.random.default_rng(5)


@pytest.fixture(scope="session")
def potential() -> Potential:
    config = ModelConfig(channels=4, layers=2, n_basis=4, cutoff=3.5, dtype="float64")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return build_model(config, (1, 6, 8), reference={1: -1.0, 6: -6.0, 8: -8.0}, scale=0.7).eval()


@pytest.fixture(scope="session")
def molecules() -> list[Structure]:
    sizes = [(6, 8, 1), (1, 1), (8,), (6, 1, 1, 8, 6), (6, 6, 1, 1)]
    return [_labelled(molecule(numbers, seed), f"molecules.xyz:{seed}") for seed, numbers in enumerate(sizes)]


@pytest.fixture(scope="session")
def crystals() -> list[Structure]:
    return [
        _labelled(crystal((8, 1, 6), seed=seed), f"crystals.xyz:{seed}", stress=True) for seed in range(3)
    ]


def _labelled(structure: Structure, source: str, stress: bool = False) -> Structure:
    tensor = LABELS.normal(size=(3, 3), scale=0.1)
    return replace(
        structure,
        energy=float(LABELS.normal() - 5 * len(structure)),
        forces=LABELS.normal(size=(len(structure), 3)),
        stress=tensor + tensor.T if stress else None,
        source=source,
    )
