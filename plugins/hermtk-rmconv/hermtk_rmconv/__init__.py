"""HermNet's layers as they were published, defects included: for comparison, and for weights of the published kind.

HermNet: Wang et al., npj Comput. Mater. 8, 53 (2022). The README lists what is wrong with these layers and what it breaks.
"""
