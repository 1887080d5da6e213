"""hermtk: interatomic potentials whose parameters may depend on which elements interact."""

__version__ = "0.1.0"
