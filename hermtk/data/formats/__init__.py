"""File formats, one file each. ``base.py`` is the contract; adding a file here registers the format."""
