"""Linear maps of spherical tensors: channels mixed, directions kept."""

import torch

from hermtk.nn.spherical import SphericalLinear
from hermtk.relations.union import Rows


def test_a_linear_map_mixes_channels_of_each_order_by_the_rows_relation():
    torch.manual_seed(0)
    layer = SphericalLinear(3, [4, 5], 6).double()
    for weight in layer.parameters():
        torch.nn.init.normal_(weight)
    relation = torch.tensor([0, 0, 2])
    rows = Rows(relation, torch.tensor([2, 2, 3], dtype=torch.int32))
    h = (torch.randn(3, 1, 4, dtype=torch.float64), torch.randn(3, 3, 5, dtype=torch.float64))
    weights = list(layer.parameters())
    for f, weight, found in zip(h, weights, layer(h, rows), strict=True):
        torch.testing.assert_close(found, torch.einsum("rmc,rcd->rmd", f, weight[relation]))


def test_a_linear_map_of_no_rows_has_no_rows():
    layer = SphericalLinear(2, [4, 4], 6)
    none = Rows(torch.zeros(0, dtype=torch.long), torch.zeros(2, dtype=torch.int32))
    scalars, vectors = layer((torch.zeros(0, 1, 4), torch.zeros(0, 3, 4)), none)
    assert scalars.shape == (0, 1, 6)
    assert vectors.shape == (0, 3, 6)
