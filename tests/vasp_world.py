"""Small files as VASP writes them, with numbers that the tests choose."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Step:
    """One ionic step of NaCl in a skewed cell: eV, Angstrom, and kbar in VASP's sign."""

    free: float = -10.25
    sigma0: float = -10.125
    electronic: int = 2
    seed: int = 0

    @property
    def cell(self) -> np.ndarray:
        return np.array([[4.0, 0.0, 0.5], [0.0, 5.0, 0.0], [0.0, 0.0, 6.0]])

    @property
    def fractional(self) -> np.ndarray:
        return np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.25]]) + 0.01 * self.seed

    @property
    def positions(self) -> np.ndarray:
        return self.fractional @ self.cell

    @property
    def forces(self) -> np.ndarray:
        return np.array([[0.5, -0.25, 0.125], [-0.5, 0.25, -0.125]]) * (self.seed + 1)

    @property
    def kbar(self) -> np.ndarray:
        """Positive under compression: xx yy zz are 1 2 3, xy yz zx are 4 5 6."""
        return np.array([[1.0, 4.0, 6.0], [4.0, 2.0, 5.0], [6.0, 5.0, 3.0]])


def vasprun(steps: Sequence[Step], *, nelm: int = 4) -> str:
    """A vasprun.xml of these steps."""
    calculations = "".join(_calculation(step) for step in steps)
    return f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <generator><i name="program" type="string">vasp </i><i name="version" type="string">6.4.2 </i></generator>
 <incar><i type="int" name="NELM">     {nelm}</i></incar>
 <kpoints>
  <generation param="Gamma"><v type="int" name="divisions">1 1 1 </v></generation>
  <varray name="kpointlist"><v>0.0 0.0 0.0 </v></varray>
  <varray name="weights"><v>1.0 </v></varray>
 </kpoints>
 <parameters><separator name="electronic"><i type="int" name="NELM">     {nelm}</i></separator></parameters>
 <atominfo>
  <atoms>       2 </atoms>
  <array name="atoms"><set><rc><c>Na</c><c>   1</c></rc><rc><c>Cl</c><c>   2</c></rc></set></array>
 </atominfo>
 <structure name="initialpos">{_place(steps[0])}</structure>
{calculations}</modeling>
"""


def outcar(steps: Sequence[Step], *, nelm: int = 4) -> str:
    """An OUTCAR of these steps."""
    head = """ vasp.6.4.2 20Jul23 (build) complex
 POTCAR:    PAW_PBE Na 08Apr2002
 POTCAR:    PAW_PBE Cl 06Sep2000
 POTCAR:    PAW_PBE Na 08Apr2002
 POTCAR:    PAW_PBE Cl 06Sep2000
   k-points           NKPTS =      1   k-points in BZ     NKDIM =      1   number of bands    NBANDS=      8
 k-points in reciprocal lattice and weights: gamma
   0.00000000  0.00000000  0.00000000       1.000
   ISPIN  =      1    spin polarized calculation?
   ions per type =               1   1
"""
    body = "".join(_ionic(number, step, nelm) for number, step in enumerate(steps, start=1))
    return f"{head}{body} General timing and accounting informations for this job:\n"


def _rows(values: np.ndarray) -> str:
    return "".join(f"<v>{' '.join(f'{x:16.8f}' for x in row)} </v>\n" for row in values)


def _place(step: Step) -> str:
    return (
        f'<crystal><varray name="basis">\n{_rows(step.cell)}</varray></crystal>'
        f'<varray name="positions">\n{_rows(step.fractional)}</varray>'
    )


def _energies(step: Step) -> str:
    return f"""<energy><i name="e_fr_energy"> {step.free:.8f} </i><i name="e_wo_entrp"> 0.0 </i>
<i name="e_0_energy"> {step.sigma0:.8f} </i></energy>"""


def _calculation(step: Step) -> str:
    return f""" <calculation>
{"".join(f"<scstep>{_energies(step)}</scstep>" for _ in range(step.electronic))}
<structure>{_place(step)}</structure>
<varray name="forces">\n{_rows(step.forces)}</varray>
<varray name="stress">\n{_rows(step.kbar)}</varray>
{_energies(step)}
 </calculation>
"""


def _ionic(number: int, step: Step, nelm: int) -> str:
    k = step.kbar
    reached = "because EDIFF is reached" if step.electronic < nelm else "EDIFF was not reached (unconverged)"
    iterations = "".join(
        f"--------------------- Iteration {number:6d}({n:4d})  -----------------------\n"
        f"  free energy    TOTEN  =        {step.free:.8f} eV\n"
        for n in range(1, step.electronic + 1)
    )
    stress = " ".join(f"{x:11.5f}" for x in (k[0, 0], k[1, 1], k[2, 2], k[0, 1], k[1, 2], k[2, 0]))
    cell = "\n".join(" ".join(f"{x:13.9f}" for x in (*row, 0, 0, 0)) for row in step.cell)
    atoms = np.hstack([step.positions, step.forces])
    rows = "\n".join(" ".join(f"{x:12.5f}" for x in row) for row in atoms)
    return f"""{iterations}
------------------------ aborting loop {reached} ----------------------------------------
  in kB   {stress}
  volume of cell :      120.00
      direct lattice vectors                 reciprocal lattice vectors
{cell}

 POSITION                                       TOTAL-FORCE (eV/Angst)
 -----------------------------------------------------------------------------------
{rows}
 -----------------------------------------------------------------------------------

  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  ---------------------------------------------------
  free  energy   TOTEN  =       {step.free:.8f} eV

  energy  without entropy=      -10.00000000  energy(sigma->0) =      {step.sigma0:.8f}

"""
