"""Short-range repulsion: the published formula, and a smooth end."""

import math

import numpy as np
import pytest
import torch

from hermtk.data.structure import Structure
from hermtk.graph.build import build_graph
from hermtk.graph.graph import edge_vectors
from hermtk.models.zbl import ZBL

CUTOFF = 4.0


def energy(numbers: tuple[int, int], distance: float) -> torch.Tensor:
    """Of two atoms, eV."""
    d = torch.full((2,), distance, dtype=torch.float64)
    return ZBL(CUTOFF)(torch.tensor(numbers), d, torch.tensor([0, 1]), torch.tensor([1, 0]), 2).sum()


def written_out(z1: int, z2: int, r: float) -> float:
    """Coulomb's law in eV and Angstrom, screened: Ziegler, Biersack and Littmark (1985), with rounded constants."""
    a = 0.8854 * 0.529177 / (z1**0.23 + z2**0.23)
    x = r / a
    screening = (
        0.18175 * math.exp(-3.19980 * x)
        + 0.50986 * math.exp(-0.94229 * x)
        + 0.28022 * math.exp(-0.40290 * x)
        + 0.02817 * math.exp(-0.20162 * x)
    )
    return 14.39964 * z1 * z2 / r * screening


@pytest.mark.parametrize("numbers", [(1, 1), (6, 8), (14, 14), (79, 79)])
def test_close_nuclei_repel_as_the_formula_says(numbers):
    assert float(energy(numbers, 0.1)) == pytest.approx(written_out(*numbers, 0.1), rel=1e-3)


def test_two_silicon_atoms_at_half_an_angstrom_repel_by_the_value_worked_out_by_hand():
    # a = 0.8854 * 0.529177 / (2 * 14^0.23) = 0.12767; x = 3.9164; phi = 0.0000 + 0.0127 + 0.0578 + 0.0128
    screened = 14.39964 * 14 * 14 / 0.5 * 0.08338
    u = 0.5 / 2.22
    fade = 1 - 28 * u**6 + 48 * u**7 - 21 * u**8
    assert float(energy((14, 14), 0.5)) == pytest.approx(screened * fade, rel=2e-3)


@pytest.mark.parametrize(("numbers", "reach"), [((6, 8), 1.42), ((1, 1), 0.62), ((55, 55), CUTOFF)])
def test_repulsion_ends_smoothly_at_the_covalent_radii_or_the_cutoff(numbers, reach):
    def derivatives(distance: float) -> list[float]:
        d = torch.tensor(distance, dtype=torch.float64, requires_grad=True)
        pair = torch.stack([d, d])
        found = [
            ZBL(CUTOFF)(torch.tensor(numbers), pair, torch.tensor([0, 1]), torch.tensor([1, 0]), 2).sum()
        ]
        for _ in range(2):
            found += torch.autograd.grad(found[-1], d, create_graph=True)
        return [float(f.detach()) for f in found]

    assert derivatives(1.0001 * reach) == [0, 0, 0]
    assert derivatives(reach * (1 - 1e-7)) == pytest.approx([0, 0, 0], abs=1e-3)
    assert derivatives(0.8 * reach)[0] > 1e-4


def test_the_pairs_energy_is_shared_and_ghosts_get_none():
    graph = build_graph(
        Structure(np.array([6, 8, 1]), np.array([[0.0, 0, 0], [0.9, 0, 0], [0, 0.7, 0]])), CUTOFF
    )
    lengths = edge_vectors(graph).norm(dim=1)
    whole = ZBL(CUTOFF)(graph.numbers, lengths, graph.center, graph.neighbor, 3)
    assert whole.shape == (3,)
    local = graph.center < 2
    part = ZBL(CUTOFF)(graph.numbers, lengths[local], graph.center[local], graph.neighbor[local], 2)
    torch.testing.assert_close(part, whole[:2])


def test_far_atoms_do_not_repel():
    assert float(energy((6, 8), 3.0)) == 0


def test_energies_are_in_double_precision():
    d = torch.tensor([0.5], dtype=torch.float32)
    found = ZBL(CUTOFF).float()(torch.tensor([6, 8]), d, torch.tensor([0]), torch.tensor([1]), 1)
    assert found.dtype == torch.float64
