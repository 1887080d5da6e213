"""The embedded example set, ``ethanol.npz``, and the script that makes it."""
