"""The compiled convolution against the one in torch: values, first and second derivatives, any shape and any routes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hermtk.errors import HermtkError
from hermtk.kernels import convolution as kernels
from hermtk.kernels import library
from hermtk.nn.convolution import Routes, convolve, convolve_by_torch
from hermtk.nn.couplings import Couplings, Entry
from hermtk.relations.union import Rows
from hermtk.subnets.painn import couplings as painn_couplings

needs_kernels = pytest.mark.skipif(bool(library.compiler_missing()), reason=library.compiler_missing())

# every width of the kernel's blocks, and channels that are filled up to one
CHANNELS = (1, 3, 4, 5, 8, 16, 17, 24, 32, 48, 64, 128)
PAINN = painn_couplings(projection=True)
# a product of vectors with all of l = 1 and 2, and paths that send their filter into several components
MANY = Couplings(
    (
        *(Entry(0, i, a, (i + a) % 5, 0.3 * i - 0.7 * a + 0.1) for i in range(3) for a in range(1, 9)),
        *(Entry(1, -1, a, a % 5, 0.5) for a in range(9)),
        *(Entry(2, i, 0, i, -1.5) for i in range(3)),
    ),
    inputs=3,
    angulars=9,
    outputs=6,
)


@dataclass(frozen=True)
class Problem:
    """All that a convolution is given; ``values`` are x, phi or None, rho, W, Y."""

    values: tuple[Tensor | None, ...]
    couplings: Couplings
    routes: Routes

    def __call__(self, function: Callable[..., Tensor]) -> Tensor:
        return function(*self.values, self.couplings, self.routes)

    @property
    def given(self) -> list[Tensor]:
        """The values that are there and want a gradient."""
        return [value for value in self.values if value is not None and value.requires_grad]

    def changed(self, change: Callable[[Tensor], Tensor]) -> "Problem":
        values = (None if value is None else change(value.detach()) for value in self.values)
        return replace(
            self, values=tuple(value if value is None else value.requires_grad_() for value in values)
        )


def problem(
    couplings: Couplings = PAINN,
    counts: tuple[int, ...] = (3, 0, 6),
    channels: int = 5,
    *,
    atoms: int = 4,
    radials: int = 3,
    rows: int = 6,
    source: bool = True,
    seed: int = 0,
) -> Problem:
    """Random values and random routes, ``counts`` edges in each relation; some slots get nothing, others several edges."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64).requires_grad_()

    def some(size: int) -> Tensor:
        return torch.randint(size, (sum(counts),), generator=random)

    edges, sources, filters = 5, 3, couplings.paths * channels
    sizes = torch.tensor(counts)
    relation = torch.repeat_interleave(torch.arange(len(counts)), sizes)
    relations = Rows(relation, sizes.cumsum(0).to(torch.int32))
    routes = Routes(some(edges), some(sources), some(atoms), some(rows), rows, relations)
    values = (
        normal(atoms, couplings.inputs, channels),
        normal(sources, filters) if source else None,
        normal(edges, radials),
        normal(len(counts), radials, filters),
        normal(edges, couplings.angulars),
    )
    return Problem(values, couplings, routes)


@st.composite
def some_couplings(draw) -> dict:
    """Arguments of Couplings; plain numbers, since what checks types at run time may not run inside a strategy."""
    inputs, angulars, outputs = draw(st.integers(0, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    entries = []
    for path in range(draw(st.integers(1, 3))):
        alone = inputs == 0 or draw(st.booleans())
        for _ in range(draw(st.integers(1, 4))):
            inp = -1 if alone else draw(st.integers(0, inputs - 1))
            ang, out = draw(st.integers(0, angulars - 1)), draw(st.integers(0, outputs - 1))
            entries.append((path, inp, ang, out, draw(st.sampled_from([1.0, -0.5, 3**-0.5, 0.0]))))
    entries = draw(st.permutations(entries))
    return {"entries": entries, "inputs": inputs, "angulars": angulars, "outputs": outputs}


def made(entries: list[tuple], **sizes: int) -> Couplings:
    return Couplings(tuple(Entry(*entry) for entry in entries), **sizes)


problems = st.fixed_dictionaries(
    {
        "counts": st.lists(st.integers(0, 6), min_size=1, max_size=4).map(tuple),
        "channels": st.sampled_from(CHANNELS),
        "atoms": st.integers(1, 4),
        "radials": st.integers(1, 5),
        "rows": st.integers(1, 8),
        "source": st.booleans(),
        "seed": st.integers(0, 2**16),
    }
)


def derivatives(function: Callable[..., Tensor], case: Problem) -> list[Tensor]:
    """The sums, the gradients of a scalar of them, and the gradients of a scalar of those."""
    random = torch.Generator().manual_seed(1)

    def scalar(tensors: list[Tensor]) -> Tensor:
        weights = (torch.randn(t.shape, generator=random, dtype=torch.float64).to(t) for t in tensors)
        # the reference does not touch what has no part in any term
        untouched = sum(value.sum() for value in case.given)
        return sum((w * t.square()).sum() for w, t in zip(weights, tensors, strict=True)) + 0 * untouched

    sums = case(function)
    first = torch.autograd.grad(scalar([sums]), case.given, create_graph=True)
    second = torch.autograd.grad(scalar(list(first)), case.given)
    return [sums, *first, *second]


def assert_alike(case: Problem, rtol: float = 1e-11) -> None:
    """The kernel against torch, each tensor relative to its largest value."""
    found, expected = derivatives(convolve, case), derivatives(convolve_by_torch, case)
    assert len(found) == 1 + 2 * len(case.given)
    for ours, theirs in zip(found, expected, strict=True):
        largest = float(theirs.detach().abs().max()) if theirs.numel() else 0.0
        torch.testing.assert_close(ours, theirs, rtol=0, atol=rtol * max(largest, 1.0))


@needs_kernels
@settings(max_examples=60, deadline=None)
@given(some_couplings(), problems)
def test_sums_and_both_derivatives_are_those_of_torch(terms: dict, sizes: dict):
    case = problem(made(**terms), **sizes)
    assert kernels.usable(case.values[0])
    assert_alike(case)


@needs_kernels
@settings(max_examples=25, deadline=None)
@given(some_couplings(), problems)
def test_single_precision_agrees_too(terms: dict, sizes: dict):
    case = problem(made(**terms), **sizes)
    assert_alike(case.changed(lambda value: value.to(torch.float32)), rtol=3e-5)


@needs_kernels
@pytest.mark.parametrize("source", [True, False])
@pytest.mark.parametrize("channels", CHANNELS)
def test_every_width_gives_the_same(channels: int, source: bool):
    assert_alike(problem(MANY, channels=channels, source=source))


@needs_kernels
@pytest.mark.parametrize("counts", [(0,), (0, 0, 0), (7,), (0, 5), (4, 0), (1, 2, 3, 4, 5), (0, 0, 9, 0)])
def test_relations_may_be_empty_and_groups_of_edges_may_be_cut_short(counts: tuple[int, ...]):
    case = problem(counts=counts)
    assert_alike(case)
    if not sum(counts):
        assert not case(convolve).any()


@needs_kernels
def test_the_sides_of_triads_are_rows_of_their_own():
    case = problem(counts=(4, 5), rows=6)
    side = torch.arange(9) % 2
    both = replace(case.routes, row=case.routes.row + 6 * side, rows=12)
    assert_alike(replace(case, routes=both))
    first, second = replace(case, routes=both)(convolve).unflatten(0, (2, 6))
    torch.testing.assert_close(first + second, case(convolve))


@needs_kernels
@pytest.mark.parametrize("case", [problem(channels=3), problem(MANY, (2, 1), 2, source=False)])
def test_derivatives_are_those_of_finite_differences(case: Problem):
    def function(*given: Tensor) -> Tensor:
        values = given if len(given) == 5 else (given[0], None, *given[1:])
        return convolve(*values, case.couplings, case.routes)

    assert torch.autograd.gradcheck(function, case.given)
    assert torch.autograd.gradgradcheck(function, case.given)


@needs_kernels
@pytest.mark.parametrize("wanted", [(i,) for i in range(5)] + [(0, 2, 4), (3, 4), (1, 2)])
def test_some_inputs_may_want_no_gradient(wanted: tuple[int, ...]):
    case = problem()
    for place, value in enumerate(case.values):
        value.requires_grad_(place in wanted)
    assert len(case.given) == len(wanted)
    found, expected = case(convolve), case(convolve_by_torch)
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), case.given),
        torch.autograd.grad(expected.square().sum(), case.given),
    )
    assert_alike(case)


@needs_kernels
def test_without_gradients_there_is_no_graph():
    case = problem()
    assert not convolve(*(v.detach() for v in case.values), case.couplings, case.routes).requires_grad
    with torch.no_grad():
        assert not case(convolve).requires_grad


@needs_kernels
def test_memory_may_be_laid_out_in_any_way():
    case = problem(channels=6)
    routes = case.routes
    spread = {
        name: torch.stack([getattr(routes, name), -torch.ones_like(routes.edge)], 1)[:, 0]
        for name in ("edge", "source", "atom", "row")
    }
    strange = case.changed(lambda value: value.transpose(0, -1).contiguous().transpose(0, -1))
    strange = replace(strange, routes=replace(routes, **spread))
    assert not any(value.is_contiguous() for value in strange.values)
    assert not strange.routes.edge.is_contiguous()
    assert torch.equal(strange(convolve), case(convolve))
    torch.testing.assert_close(derivatives(convolve, strange), derivatives(convolve, case))
    # the gradient of a sum is one number with strides of zero
    (slope,) = torch.autograd.grad(strange(convolve).sum(), strange.values[2])
    torch.testing.assert_close(slope, torch.autograd.grad(case(convolve_by_torch).sum(), case.values[2])[0])


@needs_kernels
@pytest.mark.parametrize("channels", [17, 64, 128])
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_share_the_channels(threads: int, channels: int):
    case = problem(channels=channels)
    one, before = derivatives(convolve, case), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        several = derivatives(convolve, case)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(several, one, rtol=1e-11, atol=1e-10)


@needs_kernels
def test_a_result_is_the_same_to_the_bit_every_time():
    case = problem(MANY, (9, 8), 64)
    for first, second in pairwise([derivatives(convolve, case) for _ in range(3)]):
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def arguments(case: Problem) -> tuple:
    routes = case.routes
    indices = (routes.edge, routes.source, routes.atom, routes.row, routes.relations.ends)
    return (*case.values, *indices, routes.rows, case.couplings.text)


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "case", [problem(channels=8), problem(channels=8, source=False), problem(counts=(0, 0), channels=8)]
)
def test_the_operators_keep_torchs_rules_for_operators(case: Problem, dtype: torch.dtype):
    case = case.changed(lambda value: value.to(dtype))
    *tensors, rows, text = arguments(case)
    torch.library.opcheck(torch.ops.hermtk.convolve.default, (*tensors, rows, text))
    gradient = torch.randn(rows, case.couplings.outputs, 8, dtype=dtype, requires_grad=True)
    for weights in (True, False):
        torch.library.opcheck(torch.ops.hermtk.convolve_backward.default, (gradient, *tensors, text, weights))
    fixed = [None if tensor is None else tensor.detach() for tensor in (gradient, *tensors)]
    tangents = [None if value is None else torch.randn_like(value) for value in fixed[1:6]]
    torch.library.opcheck(torch.ops.hermtk.convolve_second.default, (*tangents, *fixed, text))


@needs_kernels
def test_a_third_derivative_is_refused_with_the_way_to_it():
    case = problem()
    rho = case.values[2]
    (first,) = torch.autograd.grad(case(convolve).pow(3).sum(), rho, create_graph=True)
    (second,) = torch.autograd.grad(first.pow(3).sum(), rho, create_graph=True)
    with pytest.raises(HermtkError, match=r"twice, not three times: HERMTK_KERNELS=torch"):
        torch.autograd.grad(second.sum(), rho)


def test_without_kernels_any_order_can_be_had(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(library.VARIABLE, "torch")
    monkeypatch.setattr(library, "library", library.library.__wrapped__)
    case = problem(counts=(1, 2), channels=2, radials=2)
    x, phi, rho, *rest = case.values

    def slope(rho: Tensor) -> Tensor:
        sums = convolve(x, phi, rho, *rest, case.couplings, case.routes)
        return torch.autograd.grad(sums.pow(3).sum(), rho, create_graph=True)[0]

    assert torch.autograd.gradgradcheck(slope, (rho,))


def test_a_device_or_type_without_kernels_is_left_to_torch():
    case = problem().changed(lambda value: value.to(torch.bfloat16))
    assert not kernels.usable(case.values[0])
    assert torch.equal(case(convolve), case(convolve_by_torch))
    assert not kernels.usable(torch.empty(1, device="meta"))


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("index", [-1, 99])
@needs_kernels
def test_an_index_out_of_range_is_refused_rather_than_followed(place: int, index: int):
    changed = list(arguments(problem(channels=8)))
    wrong = changed[5 + place].clone()
    wrong[-1] = index
    changed[5 + place] = wrong
    with pytest.raises(IndexError, match="index is out of range"):
        kernels.convolve(*changed)


@needs_kernels
@pytest.mark.parametrize("ends", [[3, 3, 8], [3, 3, 10], [3, 2, 9], [-1, 3, 9]])
def test_relations_that_do_not_hold_all_edges_in_order_are_refused(ends: list[int]):
    changed = list(arguments(problem(counts=(3, 0, 6), channels=8)))
    changed[9] = torch.tensor(ends, dtype=torch.int32)
    with pytest.raises(IndexError, match="do not lead to the last edge"):
        kernels.convolve(*changed)


@needs_kernels
@pytest.mark.parametrize(
    ("place", "change", "said"),
    [
        (
            0,
            lambda x: x[:, :2],
            "features is (4, 2, 8) of torch.float64 on cpu, not (4, 3, 8) of torch.float64",
        ),
        (0, lambda x: x[:, :, :5], "5 channels are not a multiple of 8"),
        (1, lambda phi: phi[:, :-1], "source is"),
        (2, lambda rho: rho[:, :-1], "radial is"),
        (3, lambda w: w[:2], "weight is"),
        (3, lambda w: w.float(), "weight is (3, 3, 32) of torch.float32"),
        (4, lambda y: y[:-1], "angular is"),
        (5, lambda edge: edge.int(), "routes.edge is (9,) of torch.int32 on cpu, not (9,) of torch.int64"),
        (8, lambda row: row[:-1], "routes.row is"),
        (9, lambda ends: ends.long(), "routes.relations.ends is"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(place: int, change: Callable[[Tensor], Tensor], said: str):
    changed = list(arguments(problem(counts=(3, 0, 6), channels=8)))
    changed[place] = change(changed[place].detach())
    with pytest.raises(ValueError, match="convolve: ") as refused:
        kernels.convolve(*changed)
    assert said in str(refused.value)
