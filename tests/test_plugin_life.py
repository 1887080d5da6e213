"""The life of a plugin: written, installed, tested, trained with, used, and missed when it is gone."""

import json
import os
import subprocess
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from hermtk.data.dataset import write_structures
from training_world import clusters

Program = Callable[..., subprocess.CompletedProcess[str]]
SMALL = (
    "--steps 3 --set model.channels=4 --set model.layers=1 --set model.n_basis=3 --set training.compile=false"
)
ASE = """
import sys
from ase import Atoms
from hermtk.interfaces.ase import HermCalculator
atoms = Atoms("OCH", [[0, 0, 0], [0, 0, 1.2], [0.9, 0, 1.7]], calculator=HermCalculator(sys.argv[1]))
print(atoms.get_potential_energy(), abs(atoms.get_forces()).sum())
"""


@pytest.fixture
def fresh(tmp_path: Path) -> Program:
    """Run a module of Python in an environment of its own on top of this one: ``fresh("pip", "list")``."""
    pytest.importorskip("hatchling", reason="packages are built by it: pip install hatchling")
    place = tmp_path / "environment"
    venv.create(place, with_pip=False, symlinks=True)
    own = sysconfig.get_path("purelib", vars={"base": str(place)})
    # with the .pth files of editable installations, as an environment on top of an environment would not have them
    Path(own, "below.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def run(*words: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [str(place / "bin" / "python"), *(["-m"] if words[0] != "-c" else []), *map(str, words)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True
        )
        assert done.returncode == status, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.mark.slow
def test_a_plugin_is_written_installed_tested_trained_used_and_missed(fresh: Program, tmp_path: Path) -> None:
    write_structures(tmp_path / "clusters.extxyz", clusters(20))

    def hermtk(*words: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        return fresh("hermtk_cli.main", *words, status=status)

    hermtk("new", "subnet", "wavy")
    fresh("pip", "install", "--no-index", "--no-deps", "--no-build-isolation", "./hermtk-wavy")
    listed = {c["name"]: c for c in json.loads(hermtk("list", "subnet", "--json").stdout)}
    assert (listed["wavy"]["distribution"], listed["wavy"]["version"]) == ("hermtk-wavy", "0.1.0")
    assert listed["wavy"]["problem"] == ""
    assert "'wavy' already (hermtk-wavy 0.1.0)" in hermtk("new", "subnet", "wavy", status=1).stderr

    fresh("pytest", "-q", "hermtk-wavy")
    hermtk("check", "wavy", "--fast", "--variant", "hvnet", "--dtype", "float64")
    hermtk("train", "--subnet", "wavy", "--data", "clusters.extxyz", "--out", "run", *SMALL.split())
    (need,) = [n for n in json.loads(hermtk("show", "run", "--json").stdout)["needs"] if "sha256" in n]
    assert (need["distribution"], need["version"], len(need["sha256"])) == ("hermtk-wavy", "0.1.0", 64)
    energy, forces = map(float, fresh("-c", ASE, "run/model.pt").stdout.split())
    assert energy < 0 < forces

    fresh("pip", "uninstall", "--yes", "hermtk-wavy")
    for words in (["show", "run"], ["train", "--resume", "run"]):
        said = hermtk(*words, status=1).stderr
        assert "needs the subnet 'wavy' of hermtk-wavy 0.1.0, which is not installed" in " ".join(
            said.split()
        )
        assert "pip install hermtk-wavy==0.1.0" in " ".join(said.split())
    assert "pip install hermtk-wavy==0.1.0" in fresh("-c", ASE, "run/model.pt", status=1).stderr
