"""Short-range repulsion of screened nuclei, so that atoms cannot fall into each other where no data were.

Ziegler, Biersack and Littmark, The Stopping and Range of Ions in Matter (1985); parameters as in LAMMPS ``pair_style zbl``.
"""

import torch
from ase.data import covalent_radii
from ase.units import Bohr, Hartree
from jaxtyping import Float, Int
from torch import Tensor, nn

from hermtk.nn.cutoff import polynomial
from hermtk.nn.segment import segment_sum

_COEFFICIENTS = (0.18175, 0.50986, 0.28022, 0.02817)
_EXPONENTS = (3.19980, 0.94229, 0.40290, 0.20162)


class ZBL(nn.Module):
    """E_i = 1/2 sum_j Z_i Z_j e^2/r phi(r/a) f(r), f smooth to zero at the sum of the covalent radii, or at the cut-off."""

    radii: Tensor

    def __init__(self, cutoff: float) -> None:
        """``cutoff``: of the model, Angstrom; pairs of large atoms would reach beyond it."""
        super().__init__()
        self.cutoff = cutoff
        radii = torch.nan_to_num(torch.tensor(covalent_radii, dtype=torch.float64), nan=1.5)
        self.register_buffer("radii", radii, persistent=False)

    def forward(
        self,
        numbers: Int[Tensor, " atoms"],
        distances: Float[Tensor, " edges"],
        center: Int[Tensor, " edges"],
        neighbor: Int[Tensor, " edges"],
        n_local: int,
    ) -> Float[Tensor, " local"]:
        """Energy of each local atom, eV; distances in Angstrom."""
        d = distances.to(torch.float64)
        z_i, z_j = numbers[center].to(d.dtype), numbers[neighbor].to(d.dtype)
        screening = 0.8854 * Bohr / (z_i**0.23 + z_j**0.23)
        x = d / screening
        phi = torch.zeros_like(d)
        for coefficient, exponent in zip(_COEFFICIENTS, _EXPONENTS, strict=True):
            phi = phi + coefficient * torch.exp(-exponent * x)
        reach = self.radii[numbers[center]] + self.radii[numbers[neighbor]]
        reach = reach.clamp(max=self.cutoff)
        pair = Hartree * Bohr * z_i * z_j / d * phi * polynomial(d / reach, 1.0)
        return segment_sum(0.5 * pair, center, n_local)
