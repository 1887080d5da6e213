"""Relation schemes, one file each: how edges are grouped by the elements that interact. ``base.py`` is the contract."""
