"""Optimisers, learning-rate schedule and the average of the weights."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from hermtk.models.model import Model
from hermtk.nn.typed import TypedLinear
from hermtk.training.config import TrainingConfig
from hermtk.training.soap import Soap

# fresh weights (docs/presets.md): with SOAP 0.006 was better than 0.003 on molecules and worse on an alloy, with AdamW 0.003 was
# better than 0.001 and 0.006
LEARNING_RATES = {"soap": 4e-3, "adamw": 3e-3}
BETAS = (0.9, 0.99)


class Optimizers:
    """Several that share the work, as one."""

    def __init__(self, parts: Sequence[Optimizer]) -> None:
        self.parts = parts

    @property
    def rate(self) -> float:
        """The learning rate."""
        return self.parts[0].param_groups[0]["lr"]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad()

    def step(self) -> None:
        """Change the weights."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict:
        """What a resumed run needs."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict) -> None:
        """Go on where a state was taken."""
        for part, theirs in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(theirs)


def make_optimizers(model: nn.Module, config: TrainingConfig) -> Optimizers:
    """SOAP for the matrices of linear maps and AdamW for what is left, or AdamW for all.

    Biases do not decay, and frozen parameters are left out.
    """
    rate, decay = config.learning_rate or LEARNING_RATES[config.optimizer], config.weight_decay
    # one map makes several features of that many channels each
    channels = model.network.channels if isinstance(model, Model) else None
    ours = _matrices(model) if config.optimizer == "soap" else set()
    learning = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for _, p in learning if id(p) in ours]
    named = [(name, p) for name, p in learning if id(p) not in ours]
    groups = [
        {"params": [p for name, p in named if not name.endswith("bias")], "weight_decay": decay},
        {"params": [p for name, p in named if name.endswith("bias")], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    parts: list[Optimizer] = (
        [Soap(matrices, rate, BETAS, weight_decay=decay, block=channels)] if matrices else []
    )
    if groups:
        parts.append(AdamW(groups, lr=rate, betas=BETAS, fused=True))
    return Optimizers(parts)


def _matrices(model: nn.Module) -> set[int]:
    """Which weights are those of linear maps, typed or not, with more than one row and column."""
    maps = [module for module in model.modules() if isinstance(module, nn.Linear | TypedLinear)]
    return {id(one.weight) for one in maps if min(one.weight.shape[-2:]) > 1}


class Schedule:
    """Warm-up, then cosine to zero, plateau or constant; ``step`` after each step, ``validated`` after a validation."""

    def __init__(self, optimizers: Optimizers, config: TrainingConfig, steps: int) -> None:
        warmup = min(config.warmup_steps, steps)

        def factor(step: int) -> float:
            rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
            if config.schedule != "cosine":
                return rise
            done = max(0, step - warmup) / max(1, steps - warmup)
            return rise * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

        self._warm: list[LRScheduler] = []
        self._plateau: list[ReduceLROnPlateau] = []
        if config.schedule == "plateau":
            self._plateau = [
                ReduceLROnPlateau(part, factor=config.plateau_factor, patience=config.plateau_patience)
                for part in optimizers.parts
            ]
        else:
            self._warm = [LambdaLR(part, factor) for part in optimizers.parts]

    def step(self) -> None:
        """After every optimiser step."""
        for one in self._warm:
            one.step()

    def validated(self, score: float) -> None:
        """After every validation."""
        for one in self._plateau:
            one.step(score)

    def state_dict(self) -> dict:
        """What a resumed run needs."""
        return {"parts": [one.state_dict() for one in (*self._warm, *self._plateau)]}

    def load_state_dict(self, state: dict) -> None:
        """Go on where a state was taken."""
        for one, theirs in zip((*self._warm, *self._plateau), state["parts"], strict=True):
            one.load_state_dict(theirs)


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
