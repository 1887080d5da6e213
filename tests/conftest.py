"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real reference data, where there is one."""
    folder = Path(os.environ.get("HERMTK_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs reference data: set HERMTK_SHARED (looked in {folder})")
    return folder
