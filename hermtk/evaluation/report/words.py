"""Numbers as text: three digits that count, small energies in thousandths."""

import math

from hermtk.data.targets import Target

# in tables and sentences: what files hold is multiplied by the number
FORCE = (1e3, "meV/Å")
STRESS = (1e3, "meV/Å³")
ENERGY_PER_ATOM = (1e3, "meV/atom")
TOTAL_ENERGY = (1e3, "meV")

Scale = tuple[float, str]


def value_scale(target: Target, energy: bool) -> Scale:
    """Of the energy per atom, or of a target."""
    return ENERGY_PER_ATOM if energy else target.shown


def number(value: float | None, factor: float = 1.0) -> str:
    """Three digits that count, without exponents for what is large; a dash for nothing."""
    if value is None or math.isnan(value):
        return "–"
    value *= factor
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def measured(value: float | None, scale: Scale) -> str:
    """With its unit."""
    return f"{number(value, scale[0])} {scale[1]}".strip()


def percent(share: float) -> str:
    """Of one: two digits that count."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def listed(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def duration(seconds: float) -> str:
    """``41 s``, ``4 min 57 s``, ``3 h 20 min``."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
