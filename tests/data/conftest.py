"""Structures that the tests of the data layer share."""

import numpy as np
import pytest

from hermtk.data.structure import Structure


@pytest.fixture
def water() -> Structure:
    return Structure(
        numbers=np.array([8, 1, 1]),
        positions=np.array([[0.0, 0.0, 0.119], [0.0, 0.763, -0.477], [0.0, -0.763, -0.477]]),
        energy=-2079.5,
        forces=np.array([[0.0, 0.0, -0.25], [0.0, 0.5, 0.125], [0.0, -0.5, 0.125]]),
        source="water.xyz:0",
    )


@pytest.fixture
def crystal() -> Structure:
    """A skewed, left-handed cell with every label."""
    return Structure(
        numbers=np.array([55, 17]),
        positions=np.array([[0.1, 0.2, -0.3], [2.25, 2.0, 2.125]]),
        cell=np.array([[0.5, 4.25, 0.0], [4.0, 0.0, 0.25], [0.0, 0.75, 4.5]]),
        pbc=np.array([True, True, True]),
        energy=-6.5,
        forces=np.array([[0.5, -0.25, 0.125], [-0.5, 0.25, -0.125]]),
        stress=np.array([[0.01, 0.004, 0.005], [0.004, -0.02, 0.006], [0.005, 0.006, 0.03]]),
        source="crystal.xyz:7",
        info={"group": "salt", "temperature": 300.0},
    )
