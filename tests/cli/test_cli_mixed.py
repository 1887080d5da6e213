"""Mixed models at the command line: named by --subnet, trained, shown, and refused with the reason."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hermtk.data.dataset import write_structures
from hermtk_cli.commands.train import _name
from training_world import clusters

TINY = [
    "--set",
    "model.channels=4",
    "--set",
    "model.layers=1",
    "--set",
    "model.n_basis=3",
    "--set",
    "model.cutoff=3.0",
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_structures(tmp_path / "some.xyz", clusters(12))
    return tmp_path / "some.xyz"


def train(*words: object) -> str:
    """Train in a process of its own, as test_train.py does; what it says beside the results."""
    command = [
        sys.executable,
        "-m",
        "hermtk_cli.main",
        "train",
        *map(str, words),
        "--out",
        "run",
        "--json",
        *TINY,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "140"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_mixed_model_is_trained_and_shown(hermtk, data):
    said = train(
        "--data", data, "--variant", "hpnet", "--subnet", "painn", "--subnet", "O-C=unite", "--subnet", "H-H=unite",
        "--set", "model.override_options.unite.l_max=1", "--steps", 2,
    )  # fmt: skip
    assert "painn; unite for O-C, H-H × hpnet" in said
    model = yaml.safe_load(Path("run/config.yaml").read_text(encoding="utf-8"))["model"]
    assert model["subnet_overrides"] == {"O-C": "unite", "H-H": "unite"}
    assert model["override_options"] == {"unite": {"l_max": 1, "heads": 0, "hidden": None}}
    assert "painn; unite for O-C, H-H" in hermtk("show", "run/model.pt").out
    shown = json.loads(hermtk("show", "run", "--json").out)
    assert (shown["subnet"], shown["subnets"]) == ("painn", "painn; unite for O-C, H-H")
    assert [need["name"] for need in shown["needs"] if need["kind"] == "subnet"] == ["painn", "unite"]
    assert hermtk("evaluate", "run", data).status == 0


def test_options_are_added_to_what_the_file_says(hermtk, data):
    values = {"data": {"train": str(data)}, "model": {"subnet_overrides": {"H": "unite", "O": "unite"}}}
    Path("run.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    checked = hermtk("validate", "run.yaml")
    assert checked.status == 0, checked.err
    assert "painn; unite for H, O × hvnet" in " ".join(checked.out.split())
    train("run.yaml", "--subnet", "O=painn", "--steps", 1)
    model = yaml.safe_load(Path("run/config.yaml").read_text(encoding="utf-8"))["model"]
    assert model["subnet_overrides"] == {"H": "unite", "O": "painn"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--subnet", "painn", "--subnet", "unite"], "say which relation the other is for, as in --subnet Pt=unite"),
        (["--subnet", "=unite"], "--subnet wants NAME or RELATION=NAME, it was given '=unite'"),
        (["--subnet", "H="], "--subnet wants NAME or RELATION=NAME, it was given 'H='"),
        (["--subnet", "H=unite", "--subnet", "H=painn"], "two subnets are given for H: 'unite' and 'painn'"),
        (["--subnet", "Pt=unite"], "hvnet has no relation 'Pt' between the elements H, C, O"),
        (["--subnet", "H=unit"], "no subnet named 'unit'. Did you mean 'unite'?"),
        (["--variant", "homogeneous", "--subnet", "H=unite"], "homogeneous has a single relation"),
        (["--resume", "run", "--subnet", "H=unite"], "no other option can be given with it"),
        (
            ["--subnet", "H=unite", "--set", "model.override_options.unite.l_mx=1"],
            "no option of subnet 'unite' named 'l_mx'. Did you mean 'l_max'?",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_reason(hermtk, data, words, message):
    source = [] if "--resume" in words else ["--data", data, "--out", "run"]
    refused = hermtk("train", *source, *words)
    assert refused.status == 1
    assert message in refused.err
    assert "Traceback" not in refused.err
    assert not Path("run").exists()


def test_a_config_that_overrides_wrongly_is_not_valid(hermtk, data):
    values = {"data": {"train": str(data)}, "model": {"subnet_overrides": {"Hh": "painn"}}}
    Path("run.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    refused = hermtk("validate", "run.yaml")
    assert (refused.status, "Did you mean 'H'?" in refused.error) == (1, True)


def test_the_folder_of_a_run_names_every_subnet():
    values = {"model": {"subnet_overrides": {"H": "unite", "O": "unite"}, "variant": "hvnet"}}
    assert _name(values) == "ethanol-painn+unite-hvnet"
