"""Readouts, one file each: from features to a quantity per atom. ``base.py`` is the contract."""
