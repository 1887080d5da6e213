"""Arms made alike: the same number of parameters, or the same time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hermtk.ablation.arms import Arm, changed
from hermtk.errors import ConfigError

# how far the parameters of arms may be apart, largest over smallest
TOLERANCE = 1.03
# of the control's width, to find one that all arms can meet
_AROUND = 0.25
_NARROWEST = 4

# the number of parameters of an arm with so many channels
Count = Callable[[Arm, int], int]


@dataclass(frozen=True)
class _Widths:
    """Parameters of an arm by its channels, counted when they are asked for."""

    arm: Arm
    count: Count
    known: dict[int, int]

    def at(self, channels: int) -> int:
        if channels not in self.known:
            self.known[channels] = self.count(self.arm, channels)
        return self.known[channels]

    def nearest(self, wanted: int) -> int:
        """The channels whose parameters are the nearest to what is wanted."""
        low, high = _NARROWEST, _NARROWEST * 2
        while self.at(high) < wanted:
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.at(middle) < wanted else (low, middle)
        return min((low, high), key=lambda channels: abs(self.at(channels) - wanted))


def match_parameters(arms: Sequence[Arm], control: Arm, count: Count) -> list[Arm]:
    """Channels for every arm, so that all have the number of parameters of the control within 3 %.

    Widths are whole numbers: the control's own is moved by up to a quarter where that lets the arms meet more closely.

    Args:
        arms: of one size, as the study has them.
        control: among them; its channels are those of the study.
        count: parameters of an arm with a number of channels.

    Returns:
        The arms with ``config.model.channels`` and ``parameters``.

    Raises:
        ConfigError: no widths are that close; names the arm that is farthest.
    """
    widths = [_Widths(arm, count, {}) for arm in arms]
    own = next(w for w in widths if w.arm.name == control.name)
    wish = control.config.model.channels
    reach = max(int(_AROUND * wish), 1)
    candidates = sorted(range(max(wish - reach, _NARROWEST), wish + reach + 1), key=lambda c: abs(c - wish))
    best: tuple[float, list[int]] | None = None
    for candidate in candidates:
        chosen = [w.nearest(own.at(candidate)) for w in widths]
        found = [w.at(channels) for w, channels in zip(widths, chosen, strict=True)]
        apart = max(found) / min(found)
        if best is None or apart < best[0]:
            best = apart, chosen
        if apart <= TOLERANCE:
            break
    assert best is not None
    apart, chosen = best
    if apart > TOLERANCE:
        raise ConfigError(_too_far(widths, chosen, own, wish))
    return [
        replace(w.arm, config=changed(w.arm.config, "model", channels=channels), parameters=w.at(channels))
        for w, channels in zip(widths, chosen, strict=True)
    ]


def _too_far(widths: Sequence[_Widths], chosen: Sequence[int], own: _Widths, wish: int) -> str:
    target = own.at(wish)
    far, channels = max(
        zip(widths, chosen, strict=True), key=lambda pair: abs(pair[0].at(pair[1]) / target - 1)
    )
    return (
        f"match: params: no widths give all arms the same number of parameters within 3 %. The nearest of {far.arm.name} to the "
        f"{target:,} of {own.arm.name} are {far.at(channels):,} with {channels} channels: give the run more "
        f"(run.model.channels is {wish}), or leave that arm out"
    )


def match_time(arms: Sequence[Arm], seconds: float, steps_in: Callable[[Arm, float], int]) -> list[Arm]:
    """Steps for every arm, so that each of its runs takes so many seconds, data and tests counted.

    Args:
        arms: as the study has them.
        seconds: of a run.
        steps_in: how many steps of an arm fit into seconds.

    Raises:
        ConfigError: an arm would not even get through its warm-up.
    """
    return [_with_steps(arm, steps_in(arm, seconds), f"{seconds / 60:.3g} minutes") for arm in arms]


def share_budget(arms: Sequence[Arm], seconds: float, time_of: Callable[[Arm, int], float]) -> list[Arm]:
    """The same number of steps for every arm, as many as a run of each fits into so many seconds together.

    Args:
        arms: as the study has them.
        seconds: for one run of every arm.
        time_of: seconds of a run of an arm with a number of steps; it grows with them.

    Raises:
        ConfigError: the time is too short for a warm-up.
    """

    def total(steps: int) -> float:
        return sum(time_of(arm, steps) for arm in arms)

    low, high = 0, 1
    while total(high) <= seconds and high < 2**40:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if total(middle) <= seconds else (low, middle)
    return [_with_steps(arm, low, f"{seconds / 60:.3g} minutes for a run of each arm") for arm in arms]


def _with_steps(arm: Arm, steps: int, time: str) -> Arm:
    least = arm.config.training.warmup_steps + 1
    if steps < least:
        raise ConfigError(
            f"{arm.name} does {steps} steps in {time}, fewer than its warm-up (run.training.warmup_steps "
            f"{least - 1}): a larger budget, fewer seeds or arms, or a smaller model"
        )
    return replace(arm, config=changed(arm.config, "training", steps=steps, epochs=None))
