"""One thread, and the folder of reference data where there is one."""

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)

SHARED = Path(os.environ.get("HERMTK_SHARED", Path(__file__).parents[4] / "shared"))
ORACLES = SHARED / "oracles" / "hermnet"


def reference_files() -> list:
    """Parameters of a test on every reference file; one that is skipped where there are none."""
    missing = pytest.mark.skip(reason=f"needs reference data: set HERMTK_SHARED (looked in {ORACLES})")
    files = sorted(ORACLES.glob("*.npz"))
    return [pytest.param(path, id=path.stem) for path in files] or [pytest.param(ORACLES, marks=missing)]
