"""A study whose runs were made in this process: three arms, two seeds, a few steps."""

from pathlib import Path

import ase.io
import pytest
from study_world import prepared, study_values
from synthetic import structures

from hermtk.ablation.prepare import Prepared
from hermtk_cli.main import run


@pytest.fixture(scope="session")
def clusters_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clusters") / "clusters.xyz"
    ase.io.write(path, structures(40, typed=True, seed=0), format="extxyz")
    return path


@pytest.fixture(scope="session")
def finished(clusters_file, tmp_path_factory) -> Prepared:
    """All runs but one."""
    made = prepared(study_values(clusters_file), tmp_path_factory.mktemp("studies") / "study")
    made.write()
    for job in made.jobs[:-1]:
        assert run(job.arguments) == 0
    return made
