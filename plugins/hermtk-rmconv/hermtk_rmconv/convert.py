"""`hermtk convert hermnet`: published weights in, a model file of hermtk out."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hermtk.errors import RunError


class Precision(StrEnum):
    """Of the model's weights."""

    float32 = "float32"
    float64 = "float64"


def run(
    weights: Annotated[
        Path,
        typer.Argument(metavar="WEIGHTS", help="State dict of HVNet or HTNet: torch.save's file, or npz."),
    ],
    cutoff: Annotated[
        float, typer.Option("--cutoff", help="Angstrom; the weights do not hold it (published: 5).")
    ],
    elements: Annotated[
        str | None,
        typer.Option("--elements", help="Symbols, such as C,H,O; as the weights name them if absent."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Model file to write; if absent, WEIGHTS's name with -hermtk.pt, here."
        ),
    ] = None,
    intensive: Annotated[
        bool, typer.Option("--intensive", help="The model was trained with the mean over atoms.")
    ] = False,
    dtype: Annotated[Precision, typer.Option("--dtype", help="Precision to compute in.")] = Precision.float32,
    force: Annotated[bool, typer.Option("--force", help="Replace the model file if it exists.")] = False,
) -> None:
    """Make a model file of HermNet's published weights, for `hermtk predict`, `hermtk evaluate` and the ASE calculator.

    Energies are relative to the mean energy of the training set, which the weights do not hold. Using the file needs
    hermtk-rmconv. Nothing in WEIGHTS is run.
    """
    output = output or Path(f"{weights.stem}-hermtk.pt")
    if output.is_dir():
        raise RunError(f"{output} is a folder; -o names the file to write")
    if output.exists() and not force:
        raise RunError(f"{output} exists: choose another file, or replace it with --force")
    import hashlib

    from hermtk.data.elements import symbols
    from hermtk.models.files import save_model
    from hermtk_cli.output import note
    from hermtk_rmconv.transfer import transfer
    from hermtk_rmconv.weights import network_of, read_weights

    network = network_of(read_weights(weights), cutoff=cutoff, intensive=intensive)
    chosen = None if elements is None else elements.replace(",", " ").split()
    potential, config = transfer(network, elements=chosen, dtype=dtype.value)
    facts = {
        "converted": {
            "from": weights.name,
            "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
            "network": f"{network.kind} as published",
            "energies": "relative to the mean of the training set",
        }
    }
    save_model(output, potential, config, facts)
    note(
        f"wrote {output}: {network.kind} of {', '.join(symbols(potential.elements))}, {network.depth} layers, "
        f"{network.embed.embedding_dim} features"
    )
