"""Optimiser, learning-rate schedule and the average of the weights."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from hermtk.training.config import TrainingConfig

# fresh weights: of 0.001, 0.003 and 0.006 the second gave the lowest validation errors (docs/presets.md)
LEARNING_RATE = 3e-3


def make_optimizer(model: nn.Module, config: TrainingConfig) -> Optimizer:
    """AdamW; biases do not decay, and frozen parameters are left out."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in named if not name.endswith("bias")]
    others = [p for name, p in named if name.endswith("bias")]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return AdamW(
        [g for g in groups if g["params"]],
        lr=config.learning_rate or LEARNING_RATE,
        betas=(0.9, 0.99),
        fused=True,
    )


class Schedule:
    """Warm-up, then cosine to zero, plateau or constant; ``step`` after each step, ``validated`` after a validation."""

    def __init__(self, optimizer: Optimizer, config: TrainingConfig, steps: int) -> None:
        warmup = min(config.warmup_steps, steps)

        def factor(step: int) -> float:
            rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
            if config.schedule != "cosine":
                return rise
            done = max(0, step - warmup) / max(1, steps - warmup)
            return rise * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

        self._warm: LRScheduler | None = None
        self._plateau: ReduceLROnPlateau | None = None
        if config.schedule == "plateau":
            self._plateau = ReduceLROnPlateau(
                optimizer, factor=config.plateau_factor, patience=config.plateau_patience
            )
        else:
            self._warm = LambdaLR(optimizer, factor)

    def step(self) -> None:
        """After every optimiser step."""
        if self._warm:
            self._warm.step()

    def validated(self, score: float) -> None:
        """After every validation."""
        if self._plateau:
            self._plateau.step(score)

    def state_dict(self) -> dict:
        """What a resumed run needs."""
        return (self._warm or self._plateau).state_dict()  # type: ignore[union-attr]

    def load_state_dict(self, state: dict) -> None:
        """Go on where a state was taken."""
        (self._warm or self._plateau).load_state_dict(state)  # type: ignore[union-attr]


class Average:
    """Exponential moving average of the weights; early on it forgets faster, so that it never remembers the start.

    The decay is min(decay, (1 + t)/(10 + t)).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self._live = list(model.parameters())
        self.weights: list[Tensor] = [p.detach().clone() for p in self._live]

    def update(self) -> None:
        """After every optimiser step."""
        self.updates += 1
        keep = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.decay else 0.0
        with torch.no_grad():
            for mine, live in zip(self.weights, self._live, strict=True):
                mine.lerp_(live, 1 - keep)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the averaged weights inside the block."""
        kept = [p.detach().clone() for p in self._live]
        self._put(self.weights)
        try:
            yield
        finally:
            self._put(kept)

    def state_dict(self) -> dict:
        """What a resumed run needs."""
        return {"updates": self.updates, "weights": self.weights}

    def load_state_dict(self, state: dict) -> None:
        """Go on where a state was taken."""
        self.updates = state["updates"]
        for mine, theirs in zip(self.weights, state["weights"], strict=True):
            mine.copy_(theirs)

    def _put(self, weights: list[Tensor]) -> None:
        with torch.no_grad():
            for live, weight in zip(self._live, weights, strict=True):
                live.copy_(weight)
