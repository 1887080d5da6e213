"""`hermtk data info`: what a set holds, in numbers and as histograms."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hermtk_cli.options import (
    AsJson,
    Cutoff,
    Data,
    EnergyUnit,
    Format,
    LengthUnit,
    StressUnit,
    check_writable,
    open_data,
)


def run(
    data: Data,
    format: Format = None,
    energy_unit: EnergyUnit = None,
    length_unit: LengthUnit = None,
    stress_unit: StressUnit = None,
    cutoff: Cutoff = 5.0,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PNG", help="Draw histograms of energies, forces, sizes and nearest distances there."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count structures, elements and labels, and measure energies, forces, sizes and distances."""
    from hermtk.audit.summary import Summary
    from hermtk.audit.views import views
    from hermtk_cli.output import note, print_json, progress, stdout
    from hermtk_cli.tables import facts

    if out is not None:
        check_writable(out, force=True)
    structures = open_data(data, format, energy_unit, length_unit, stress_unit)
    summary = Summary()
    with progress("looking at structures", len(structures)) as advance:
        for _, _, seen in views({"": structures}, cutoff, advance):
            summary.add(seen)
    values = {"data": str(data), "cutoff": cutoff, **summary.as_dict()}
    if out is not None:
        from hermtk.evaluation.histograms import histograms

        histograms(summary, out)
    if as_json:
        print_json(values)
        return
    console = stdout()
    console.print(str(data), style="bold", soft_wrap=True)
    console.print(facts(_rows(values)))
    note(f"wrote {out}" if out else "histograms: --out FILE.png")


def _rows(values: Mapping[str, Any]) -> dict[str, str]:
    n, sizes, forces = values["structures"], values["sizes"], values["forces"]
    energy, volume, closest = values["energy_per_atom"], values["volume_per_atom"], values["closest"]
    names = {"0": "none", "1": "one", "2": "two", "3": "three"}
    rows = {
        "structures": f"{n:,} with {values['atoms']:,} atoms, {values['compositions']:,} compositions",
        "sizes": f"{sizes['min']} to {sizes['max']} atoms, median {sizes['median']:g}",
        "periodic directions": ", ".join(
            f"{names[k]} in {count:,}" for k, count in values["periodic"].items()
        ),
        "elements": "\n".join(
            f"{name}: {counts['atoms']:,} atoms in {counts['structures']:,} structures"
            for name, counts in values["elements"].items()
        ),
        "labels": ", ".join(
            f"{name} {'in all' if count == n else f'in {count:,}'}"
            for name, count in values["labels"].items()
            if count
        )
        or "none",
        "energy": energy
        and f"{energy['min']:.4f} to {energy['max']:.4f} eV/atom, mean {energy['mean']:.4f}, sd {energy['sd']:.4f}",
        "forces": forces
        and f"rms {forces['rms']:.3f} eV/Å, largest {forces['largest']:.2f} eV/Å in {forces['of']}",
        "volume": volume and f"{volume['min']:.2f} to {volume['max']:.2f} Å³/atom",
        "closest atoms": closest and f"{closest['distance']:.3f} Å in {closest['of']}",
        "neighbors": f"{values['neighbors_per_atom']:.1f} per atom within {values['cutoff']:g} Å",
        "other values": ", ".join(
            name if count == n else f"{name} in {count:,}" for name, count in values["info"].items()
        ),
    }
    return {name: text for name, text in rows.items() if text}
