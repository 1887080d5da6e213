"""Files of the small world to train in."""

from pathlib import Path

import pytest

from hermtk.data.dataset import write_structures
from training_world import clusters


@pytest.fixture(scope="session")
def cluster_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty clusters in a file."""
    path = tmp_path_factory.mktemp("data") / "clusters.xyz"
    write_structures(path, clusters(40))
    return path
