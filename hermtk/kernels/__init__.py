"""Compiled kernels of the parts that cost most, each beside a form in torch that does the same."""
