"""With stand-ins that behave as the packages are documented to, and with the packages where they are installed."""

import importlib.util
import inspect
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from hermtk import backends
from hermtk.errors import UnknownName
from hermtk.graph.build import build_graph
from hermtk.graph.neighbors import brute_force_pairs, neighbor_pairs
from hermtk.nn.segment import segment_sum
from hermtk.physics.derivatives import predict
from hermtk.testing.structures import ORGANIC, crystal, molecule, nothing
from hermtk.testing.subject import CUTOFF, Subject

OPEN = (np.zeros((3, 3)), np.zeros(3, dtype=bool))


def scatter(
    src: Tensor, index: Tensor, dim: int = -1, out=None, dim_size=None, reduce: str = "sum"
) -> Tensor:
    assert reduce == "sum"
    index = index.reshape(-1, *[1] * (src.dim() - dim - 1)).expand_as(src)
    size = [*src.shape[:dim], dim_size, *src.shape[dim + 1 :]]
    return torch.zeros(size, dtype=src.dtype).scatter_add_(dim, index, src)


def radius_graph(x, r, batch=None, loop=False, max_num_neighbors=32, flow="source_to_target") -> Tensor:
    assert batch is None
    assert not loop
    assert flow == "target_to_source"
    near = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist") < r
    near.fill_diagonal_(False)
    rows = [(i, j) for i in range(len(x)) for j in near[i].nonzero()[:, 0].tolist()[:max_num_neighbors]]
    return torch.tensor(rows[::-1], dtype=torch.long).reshape(-1, 2).t()


MISSING = [name for name in ("torch_scatter", "torch_cluster") if not importlib.util.find_spec(name)]
INSTALLED = pytest.mark.skipif(
    bool(MISSING), reason=f"{', '.join(MISSING)} not installed: see docs/decisions/0002-pyg-backend.md"
)


@pytest.fixture(params=["stand-ins", pytest.param("installed", marks=INSTALLED)])
def pyg(request, monkeypatch):
    """torch-scatter and torch-cluster in use; the calls they get."""
    calls = []
    if request.param == "stand-ins":
        packages = {"torch_scatter": scatter, "torch_cluster": radius_graph}
        for name, function in packages.items():
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
            setattr(sys.modules[name], function.__name__, function)
    monkeypatch.setenv(backends.VARIABLE, "auto")
    backends._package.cache_clear()
    for name, function in (("torch_scatter", "scatter"), ("torch_cluster", "radius_graph")):
        package = backends._package(name)
        monkeypatch.setattr(package, function, _counted(getattr(package, function), calls))
    yield calls
    backends._package.cache_clear()


def _counted(function, calls):
    def counted(*args, **kwargs):
        calls.append(function.__name__)
        return function(*args, **kwargs)

    return counted


@pytest.fixture
def fresh(monkeypatch):
    """Whatever is installed, as at the start of a program."""
    monkeypatch.delenv(backends.VARIABLE, raising=False)
    backends._package.cache_clear()
    yield monkeypatch
    backends._package.cache_clear()


def by_torch(values: Tensor, index: Tensor, size: int) -> Tensor:
    return values.new_zeros((size, *values.shape[1:])).index_add(0, index, values)


@pytest.mark.parametrize("shape", [(0,), (7,), (7, 3), (7, 3, 4), (0, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_equal_the_default_to_rounding(pyg, shape, dtype):
    values = torch.randn(shape, dtype=dtype, generator=torch.manual_seed(0))
    index = torch.tensor([0, 0, 3, 3, 3, 1, 0])[: shape[0]]
    torch.testing.assert_close(segment_sum(values, index, 6), by_torch(values, index, 6))
    assert pyg == ["scatter"]


def test_sums_are_right_to_the_second_derivative(pyg):
    values = torch.randn(7, 3, dtype=torch.float64, generator=torch.manual_seed(0), requires_grad=True)
    index = torch.tensor([0, 0, 3, 3, 3, 1, 0])
    assert torch.autograd.gradgradcheck(lambda v: segment_sum(v, index, 6).pow(3), (values,))
    assert pyg


def test_sums_are_torchs_own_under_compile(pyg):
    # without the run-time check of shapes, which cannot be compiled
    compiled = torch.compile(inspect.unwrap(segment_sum), backend="eager", fullgraph=True)
    values, index = torch.ones(4, 2), torch.tensor([0, 0, 2, 2])
    torch.testing.assert_close(compiled(values, index, 3), by_torch(values, index, 3))
    assert not pyg


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0.5, 6.0))
def test_pairs_in_empty_space_are_the_same_in_the_same_order(pyg, seed, atoms, cutoff):
    positions = np.random.default_rng(seed).uniform(-3, 3, (atoms, 3))
    expected = brute_force_pairs(positions, *OPEN, cutoff)
    for found, wanted in zip(neighbor_pairs(positions, *OPEN, cutoff), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
        assert found.dtype == np.int64
    assert pyg


def test_no_neighbor_past_the_32nd_is_dropped(pyg):
    positions = np.random.default_rng(0).uniform(0, 1, (60, 3))
    assert len(neighbor_pairs(positions, *OPEN, 2.0).center) == 60 * 59


def test_periodic_structures_and_structures_without_atoms_are_not_given_to_it(pyg):
    structure, empty = crystal(), nothing()
    neighbor_pairs(structure.positions, structure.cell, structure.pbc, 4.0)
    neighbor_pairs(empty.positions, empty.cell, empty.pbc, 4.0)
    assert not pyg


def test_a_read_only_array_is_searched(pyg):
    positions = np.zeros((2, 3))
    positions.flags.writeable = False
    assert len(neighbor_pairs(positions, *OPEN, 2.0).center) == 2


@pytest.mark.parametrize("variant", ["homogeneous", "htnet"])
def test_a_model_gives_the_same_with_and_without(pyg, monkeypatch, variant):
    potential, structure = Subject("painn", variant).make(ORGANIC), molecule((6, 8, 1, 1))
    found = predict(potential, build_graph(structure, CUTOFF))
    assert set(pyg) == {"scatter", "radius_graph"}
    monkeypatch.setenv(backends.VARIABLE, "torch")
    backends._package.cache_clear()
    pyg.clear()
    expected = predict(potential, build_graph(structure, CUTOFF))
    assert not pyg
    torch.testing.assert_close(found.energy, expected.energy, atol=1e-11, rtol=0)
    torch.testing.assert_close(found.forces, expected.forces, atol=1e-11, rtol=0)


def test_absent_packages_leave_the_default(fresh):
    for name in ("torch_scatter", "torch_cluster"):
        fresh.setitem(sys.modules, name, None)
    assert backends.scatter_sum(torch.ones(2), torch.tensor([0, 1]), 2) is None
    assert backends.open_pairs(np.zeros((2, 3)), 1.0) is None


def test_the_environment_switches_it_off(fresh):
    fresh.setitem(sys.modules, "torch_scatter", ModuleType("torch_scatter"))
    assert backends._package("torch_scatter") is not None
    backends._package.cache_clear()
    fresh.setenv(backends.VARIABLE, "torch")
    assert backends._package("torch_scatter") is None


def test_an_unknown_choice_is_refused_with_the_nearest(fresh):
    fresh.setenv(backends.VARIABLE, "torhc")
    with pytest.raises(UnknownName, match=r"HERMTK_BACKEND\) named 'torhc'\. Did you mean 'torch'"):
        segment_sum(torch.ones(2), torch.tensor([0, 1]), 2)


def test_a_package_that_cannot_be_loaded_is_named_once_and_left_aside(fresh, tmp_path):
    (tmp_path / "torch_scatter.py").write_text("raise OSError('undefined symbol: _ZN5torch')\n")
    fresh.syspath_prepend(tmp_path)
    fresh.delitem(sys.modules, "torch_scatter", raising=False)
    values, index = torch.ones(2), torch.tensor([1, 1])
    with pytest.warns(
        RuntimeWarning, match="torch_scatter is installed but cannot be loaded.*undefined symbol"
    ):
        total = segment_sum(values, index, 2)
    torch.testing.assert_close(total, torch.tensor([0.0, 2.0]))
    segment_sum(values, index, 2)
