"""SchNet's continuous-filter convolution for hermtk: a subnet of plain torch layers that knows nothing of relations."""
