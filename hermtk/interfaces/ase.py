"""ASE's calculator of a hermtk model: whatever ASE can do, it can do with a model file."""

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, Parameters, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from torch import Tensor

from hermtk.audit.coverage import SEEN_ENOUGH, Coverage, in_words, seen_in_training, starving
from hermtk.data.checks import check_structure
from hermtk.data.elements import symbols
from hermtk.data.structure import Structure
from hermtk.errors import HermtkError, RarelySeen
from hermtk.graph.build import build_graph
from hermtk.graph.graph import Graph
from hermtk.models.files import load_model
from hermtk.models.potential import Potential
from hermtk.physics.compiled import CompiledPotential
from hermtk.physics.derivatives import Prediction, predict


class HermCalculator(Calculator):
    """Energy, each atom's share, forces and, where there are three cell vectors, stress of ASE's ``Atoms``.

    eV, eV/Angstrom, eV/Angstrom^3; the stress is positive under tension, in the order xx, yy, zz, yz, xz, xy. All of them are
    computed at once and kept until the atoms change. It can be pickled and copied. ``parameters`` say which model it is.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "energies", "forces", "stress"]
    # a model does not see them
    ignored_changes: ClassVar[set[str]] = {"initial_charges", "initial_magmoms"}

    def __init__(self, model: Path | str | Potential, *, device: str = "cpu", compiled: bool = False) -> None:
        """A model file, or a potential, which is copied.

        Args:
            model: the file or the potential.
            device: torch's name of where to compute.
            compiled: compile the model at the first structure, which takes about a minute and pays in long runs; where that
                fails a warning says so.

        Raises:
            ModelFileError: the file cannot be used.
            HermtkError: there is no such device here.
        """
        _check_device(device)
        super().__init__()
        if isinstance(model, Potential):
            self.potential = copy.deepcopy(model).to(device).eval().requires_grad_(False)
            self._seen: dict[str, int] = {}
            origin = {"model": "a potential in memory"}
        else:
            loaded = load_model(model, device)
            self.potential = loaded.potential
            self._seen = seen_in_training(loaded.facts, self.potential.table)
            origin = {
                "model": str(model),
                "subnet": loaded.config.subnet,
                "variant": loaded.config.variant,
            }
        self.parameters = Parameters(
            origin,
            elements=symbols(self.potential.elements),
            cutoff=self.potential.cutoff,
            dtype=str(self.potential.dtype).removeprefix("torch."),
            device=device,
        )
        self._compiled = compiled
        self._predictor: CompiledPotential | None = None

    @classmethod
    def from_potential(
        cls, potential: Potential, *, device: str = "cpu", compiled: bool = False
    ) -> "HermCalculator":
        """The calculator of a potential as it is now: it is copied."""
        return cls(potential, device=device, compiled=compiled)

    def __getstate__(self) -> dict[str, object]:
        # what was compiled stays with the process; it is compiled again where the copy is used
        return {**self.__dict__, "_predictor": None}

    def _get_name(self) -> str:
        return "hermtk"

    def set(self, **kwargs: object) -> dict[str, object]:
        """Nothing can be changed later.

        Raises:
            HermtkError: always, unless called without arguments.
        """
        if kwargs:
            raise HermtkError(
                f"{', '.join(kwargs)} cannot be set: a HermCalculator is what its model is; make a new one"
            )
        return {}

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """All properties of the atoms.

        Raises:
            UnknownElement: an element the model was not made for.
            DataError: a position that is not finite, a periodic direction without a cell vector, a cell without volume,
                two atoms at one place.
            PropertyNotImplementedError: stress, where there are fewer than three cell vectors.

        Warns:
            RarelySeen: once, where the atoms use relations that training saw fewer than ``SEEN_ENOUGH`` times.
        """
        super().calculate(atoms, list(properties), list(system_changes))
        atoms = self.atoms
        if atoms is None:
            raise HermtkError("there are no atoms to calculate: give them, or set atoms.calc")
        if "stress" in properties and atoms.cell.rank < 3:
            raise PropertyNotImplementedError(
                f"stress needs three cell vectors, these atoms have {atoms.cell.rank}"
            )
        self.results = _results(self._predict(atoms))

    def _predict(self, atoms: Atoms) -> Prediction:
        structure = Structure(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
        if len(structure):
            check_structure(structure)
        graph = build_graph(structure, self.potential.cutoff)
        self._warn_once(graph)
        graph = graph.to(self.potential.device)
        stress = bool(atoms.cell.rank == 3)
        if not self._compiled:
            return predict(self.potential, graph, stress=stress)
        if self._predictor is None:
            self._predictor = CompiledPotential(self.potential, warnings.warn)
        return self._predictor.predict(graph, stress=stress)

    def _warn_once(self, graph: Graph) -> None:
        """Of relations that training hardly saw; of others, later, nothing more is said."""
        if not self._seen:
            return
        used = Coverage()
        used.add(graph.numbers.numpy(), graph.center.numpy(), graph.neighbor.numpy())
        rare = starving(self._seen, used.relations(self.potential.table))
        if rare:
            self._seen = {}
            warnings.warn(
                f"these atoms use relations that the model's training saw fewer than {SEEN_ENOUGH} times: {in_words(rare)}: "
                "it has hardly learned what they do",
                RarelySeen,
                stacklevel=2,
            )


def _results(prediction: Prediction) -> dict[str, object]:
    energy = prediction.energy.item()
    results: dict[str, object] = {"energy": energy, "free_energy": energy}
    if prediction.energies is not None:
        results["energies"] = _array(prediction.energies)
    if prediction.forces is not None:
        results["forces"] = _array(prediction.forces)
    if prediction.stress is not None:
        results["stress"] = full_3x3_to_voigt_6_stress(_array(prediction.stress[0]))
    return results


def _array(values: Tensor) -> np.ndarray:
    return values.detach().to("cpu", torch.float64).numpy()


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as problem:
        reason = str(problem).strip().splitlines()[0]
        raise HermtkError(f"cannot compute on {device!r} here: {reason}") from None
