"""Small networks with random weights, and small structures. Lengths in Angstrom."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hermtk_rmconv.original import Kind, Network

ELEMENTS = ("C", "H", "O")
KINDS: tuple[Kind, ...] = ("HVNet", "HTNet")

WATER = (
    torch.tensor([8, 1, 1]),
    torch.tensor([[0.0, 0.0, 0.1], [0.76, 0.1, -0.47], [-0.74, 0.05, -0.5]]).double(),
)
CO = torch.tensor([6, 8]), torch.tensor([[0.1, 0.2, 0.0], [0.15, 0.1, 1.15]]).double()
FORMALDEHYDE = (
    torch.tensor([6, 8, 1, 1]),
    torch.tensor([[0.0, 0.02, 0.0], [0.03, 0.0, 1.21], [0.94, 0.05, -0.55], [-0.9, 0.0, -0.6]]).double(),
)


def network(kind: Kind = "HVNet", elements: Sequence[str] = ELEMENTS, seed: int = 0, **options) -> Network:
    """Random weights in float64, no dropout; 16 features, 12 radial functions, two layers unless said."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = Network(kind, elements, **{"features": 16, "n_basis": 12, "layers": 2, **options})
    return made.double().eval()


def beside(*structures: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Numbers, positions and batch of several structures."""
    batch = [torch.full_like(numbers, k) for k, (numbers, _) in enumerate(structures)]
    numbers, positions = (torch.cat(parts) for parts in zip(*structures, strict=True))
    return numbers, positions, torch.cat(batch)


def apart(first: Tensor, second: Tensor) -> float:
    """Largest difference over the largest value."""
    return float((first - second).abs().max() / torch.maximum(first.abs().max(), second.abs().max()))
