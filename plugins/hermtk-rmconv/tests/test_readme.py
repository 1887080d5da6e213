"""The README says what is so."""

import re
from pathlib import Path

import torch

import test_defects
import test_laws
from hermtk.testing import laws
from small import FORMALDEHYDE, network

README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")


def test_its_script_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.save(network().state_dict(), "weights.pt")
    (script,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    numbers, positions = FORMALDEHYDE
    exec(script, {"numbers": numbers, "positions": positions, "cell": None})
    assert "tensor" in capsys.readouterr().out


def test_every_defect_it_lists_is_shown_by_a_test_of_that_number():
    listed = set(re.findall(r"^\| (\d+) \|", README, re.MULTILINE))
    shown = {name.split("_")[1] for name in vars(test_defects) if re.match(r"test_\d+_", name)}
    assert listed == shown


def test_every_law_that_it_breaks_is_named_and_is_a_law():
    sets = (test_laws.CUT, test_laws.SHELL_HVNET, test_laws.EPS, test_laws.EPS_PERHAPS, test_laws.AVERAGE)
    broken = set().union(*sets, test_laws.POOLED)
    assert broken <= {law.name for law in laws()}
    column = re.findall(r"^\| \d+ \|.*\|([^|]*)\|$", README, re.MULTILINE)
    listed = {law.strip() for cell in column for law in cell.split("·")} - {""}
    assert listed == broken
