"""`hermtk check`: tables, what is said of a broken law, targets, JSON, errors before any work."""

import json
from pathlib import Path

import pytest

from hermtk.testing import laws
from hermtk_cli.commands import check

WRONG = '''
from hermtk.nn.segment import segment_sum
from hermtk.nn.typed import TypedLinear
from hermtk.subnets.base import Subnet


class {name}(Subnet):
    """Sums of neighbours' scalars; with ``late`` the envelope is forgotten."""

    def __init__(self, channels, relations, n_radial, *, late: bool = False):
        super().__init__(channels, relations, n_radial)
        self.filter = TypedLinear(relations, n_radial, channels, bias=False)
        self.late = late

    @property
    def l_max(self):
        return 0

    def forward(self, features, edges):
        union = edges.union
        weights = self.filter(edges.radial, union.edges) + (0.1 if self.late else 0.0)
        sent = features[0].squeeze(1)[union.neighbor_atom] * weights
        return (segment_sum(sent, union.center, union.center_atom.shape[0]).unsqueeze(1),)
'''


@pytest.fixture
def layer(hermtk) -> Path:
    """A file with a subnet in the current folder."""
    path = Path("layer.py")
    path.write_text(WRONG.format(name="Faded"))
    return path


def test_a_sound_subnet_of_a_file_passes(hermtk, layer):
    shown = hermtk("check", layer, "--fast", "--variant", "hvnet", "--variant", "homogeneous")
    assert shown.status == 0, shown.out
    for law in laws(slow=False):
        assert law.name in shown.out
    assert "compiled equals eager" not in shown.out
    assert "every law is kept" in shown.out
    assert "broken" not in shown.out
    header = next(line for line in shown.out.splitlines() if "law " in line)
    assert header.split() == ["law", "hvnet", "homogeneous", "worst"]
    (row,) = [line for line in shown.out.splitlines() if "weights of its own" in line]
    assert row.split()[-5:-3] == ["ok", "-"]


def test_a_broken_law_is_told_with_case_structure_and_numbers(hermtk, layer):
    shown = hermtk("check", layer, "--fast", "--variant", "hvnet", "--option", "late=true")
    assert shown.status == 1
    assert "a neighbor leaves smoothly, hvnet, float64" in shown.out
    assert "atomic number 8 leaving 8: energy" in shown.out
    assert "at most 1e-07 is allowed" in shown.out
    assert "tried on O2 (2 atoms, no cell)" in shown.out
    assert "edges at the cutoff and beyond do nothing, hvnet, float64" in shown.out
    assert "also: hvnet, float32" in shown.out
    assert "Faded: " in shown.out
    assert "2 laws are broken" in shown.out


def test_json_holds_every_row(hermtk, layer):
    shown = hermtk("check", "layer:Faded", "--fast", "--variant", "hpnet", "--dtype", "float64", "--json")
    found = json.loads(shown.out)
    assert (shown.status, shown.err, found["passed"]) == (0, "", True)
    (subnet,) = found["subnets"]
    assert (subnet["subnet"], subnet["measured"]) == ("Faded", {})
    assert [row["law"] for row in subnet["laws"]] == [law.name for law in laws(slow=False)]
    assert {(row["variant"], row["dtype"], row["passed"]) for row in subnet["laws"]} == {
        ("hpnet", "float64", True)
    }


def test_json_of_a_law_that_cannot_be_computed_has_no_number(hermtk, layer):
    layer.write_text(
        layer.read_text().replace(
            "return (segment_sum", "raise ValueError('lost')\n        return (segment_sum"
        )
    )
    shown = hermtk("check", layer, "--fast", "--variant", "hvnet", "--dtype", "float64", "--json")
    assert shown.status == 1
    row = json.loads(shown.out)["subnets"][0]["laws"][0]
    assert (row["passed"], row["violation"]) == (False, None)
    assert "ValueError: lost" in row["message"]
    assert "error" in hermtk("check", layer, "--fast", "--variant", "hvnet", "--dtype", "float64").out


def test_a_distribution_stands_for_its_subnets(hermtk, monkeypatch):
    seen = []
    monkeypatch.setattr(check, "_work", lambda checks, fast: seen.extend(checks))
    hermtk("check", "hermtk", "--json")
    assert {"painn"} <= {one.name for one in seen}
    assert {place for one in seen for place in one.subjects} == {
        (variant, precision)
        for variant in ("homogeneous", "hvnet", "hpnet", "htnet")
        for precision in ("float64", "float32")
    }


@pytest.mark.slow
def test_without_fast_it_is_compiled_and_measured(hermtk, layer):
    shown = hermtk("check", layer, "--variant", "hpnet", "--dtype", "float64")
    assert shown.status == 0, shown.out
    assert "compiled equals eager" in shown.out
    assert "B/edge" in shown.out
    (row,) = [line.split() for line in shown.out.splitlines() if line.strip().startswith("hpnet")]
    step, *ratios, memory, energy, force = (float(cell.replace(",", "")) for cell in row[1:])
    assert step > 0
    assert all(0.3 < ratio < 30 for ratio in ratios)
    assert 10 < memory < 10_000
    assert max(energy, force) < 1e-6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pain",), "no subnet or distribution with subnets named 'pain'. Did you mean 'painn'?"),
        (("nowhere.py",), "there is no file nowhere.py"),
        (("layer.py:Fade",), "has no attribute 'Fade'"),
        (("layer.py:segment_sum",), "is not a Subnet"),
        (("no_such_module:Layer",), "No module named 'no_such_module'"),
        (("broken.py",), "broken.py could not be imported: ZeroDivisionError"),
        (("painn", "--variant", "hvent"), "Did you mean 'hvnet'?"),
        (("painn", "--dtype", "float16"), "no precision named 'float16'"),
        (("painn", "--option", "hiden=3"), "Did you mean 'hidden'?"),
        (("painn", "--option", "hidden"), "--option takes KEY=VALUE, not 'hidden'"),
        (("painn", "--option", "hidden=[1"), "is not YAML"),
        (("layer.py", "--option", "lat=true"), "Did you mean 'late'?"),
    ],
)
@pytest.mark.usefixtures("layer")
def test_what_cannot_be_checked_is_refused_before_any_work(hermtk, monkeypatch, arguments, message):
    Path("broken.py").write_text("1 / 0")
    monkeypatch.setattr(check, "_work", lambda *_: pytest.fail("something was tried"))
    shown = hermtk("check", *arguments)
    assert message in shown.error
    assert shown.status == 1
