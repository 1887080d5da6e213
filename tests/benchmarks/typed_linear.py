"""TypedLinear against one nn.Linear on the same rows: forward, forward and backward, and the derivative of force training.

python tests/benchmarks/typed_linear.py [--rows 10000] [--inputs 128] [--outputs 384] [--relations 5 25 75 89]
"""

import argparse
import statistics

import torch
from torch import Tensor, nn

from hermtk.benchmark.measure import by_turns, calls_per_sample, clocks, threads
from hermtk.nn.typed import TypedLinear
from hermtk.relations.union import Rows
from hermtk_cli.process import prepare_process


def even_rows(count: int, relations: int) -> Rows:
    """Rows dealt out evenly, sorted by relation."""
    relation = torch.arange(count) * relations // count
    return Rows(relation, torch.searchsorted(relation, torch.arange(relations), right=True).int())


def passes(layer, x: Tensor):
    """The three things to time; parameters and rows want gradients."""
    parameters = [p for p in layer.parameters() if p.requires_grad]

    def forward() -> Tensor:
        with torch.no_grad():
            return layer(x)

    def backward() -> None:
        torch.autograd.grad(layer(x).square().sum(), [x, *parameters])

    def second() -> None:
        (slope,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
        torch.autograd.grad(slope.square().sum(), [x, *parameters])

    return {"forward": forward, "forward+backward": backward, "second derivative": second}


class Typed(nn.Module):
    """A typed layer with its rows, called like an untyped one."""

    def __init__(self, relations: int, inputs: int, outputs: int, rows: Rows) -> None:
        super().__init__()
        self.layer, self.rows = TypedLinear(relations, inputs, outputs), rows

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, self.rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--inputs", type=int, default=128)
    parser.add_argument("--outputs", type=int, default=384)
    parser.add_argument("--relations", type=int, nargs="+", default=[5, 25, 75, 89])
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    x = torch.randn(arguments.rows, arguments.inputs, requires_grad=True)
    plain = passes(nn.Linear(arguments.inputs, arguments.outputs), x)
    read = clocks()
    print("| R | pass | nn.Linear, ms | TypedLinear, ms | ratio |\n|---|---|---|---|---|")
    for relations in arguments.relations:
        rows = even_rows(arguments.rows, relations)
        typed = passes(Typed(relations, arguments.inputs, arguments.outputs, rows), x)
        for name, call in typed.items():
            calls = [plain[name], call]
            counts = [calls_per_sample(c, read) for c in calls]
            samples: list[list[float]] = [[], []]
            for which, reading in by_turns(calls, counts, arguments.repeats, read):
                samples[which].append(1e3 * reading.cpu)
            a, b = (statistics.median(s) for s in samples)
            ratio = statistics.median(t / p for p, t in zip(*samples, strict=True))
            print(f"| {relations} | {name} | {a:.2f} | {b:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    prepare_process()
    with threads(1):
        main()
