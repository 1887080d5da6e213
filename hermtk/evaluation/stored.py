"""Predictions of a set of structures beside their references, in a file."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from hermtk.data.targets import find_target
from hermtk.errors import DataError
from hermtk.evaluation.comparison import Compared, Evaluation
from hermtk.evaluation.properties import PropertyEvaluation
from hermtk.files import replacing

_QUANTITIES = ("energy", "forces", "stress")


def write_predictions(path: Path, evaluation: Evaluation | PropertyEvaluation) -> None:
    """Write an evaluation as a npz archive: ``energy_true``, ``energy_predicted`` and so on, in the order of the data.

    Raises:
        RunError: the file cannot be written.
    """
    arrays: dict[str, Any] = {"atoms": evaluation.atoms, "sources": np.array(evaluation.sources)}
    if isinstance(evaluation, PropertyEvaluation):
        arrays["target"] = np.array(evaluation.target.name)
        compared = {"values": evaluation.values}
    else:
        arrays["numbers"] = evaluation.numbers
        compared = {name: getattr(evaluation, name) for name in _QUANTITIES}
    for name, one in compared.items():
        arrays[f"{name}_true"], arrays[f"{name}_predicted"] = one.true, one.predicted
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    with replacing(path) as beside:
        beside.write_bytes(buffer.getbuffer())


def read_predictions(path: Path) -> Evaluation | PropertyEvaluation:
    """What ``write_predictions`` wrote.

    Raises:
        DataError: the file is missing, damaged or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        atoms, sources = arrays["atoms"], tuple(map(str, arrays["sources"]))
        if "target" in arrays:
            target = find_target(str(arrays["target"]))
            return PropertyEvaluation(target, atoms, sources, _compared(arrays, "values"))
        return Evaluation(
            arrays["numbers"], atoms, sources, *(_compared(arrays, name) for name in _QUANTITIES)
        )
    except OSError as problem:
        raise DataError(f"{path} cannot be read: {problem.strerror or problem}") from None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as problem:
        raise DataError(f"{path} holds no predictions of ours: {problem}") from None


def _compared(arrays: dict[str, np.ndarray], name: str) -> Compared:
    return Compared(arrays[f"{name}_true"], arrays[f"{name}_predicted"])
