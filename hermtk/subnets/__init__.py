"""Sub-networks, one file each: one message-passing layer written for an ordinary graph. ``base.py`` is the contract."""
