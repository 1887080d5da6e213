"""How the documentation is made: Sphinx with MyST; warnings are errors (``sphinx-build -nW``)."""

import re
import sys
from pathlib import Path

from hermtk import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "hermtk"
author = "the hermtk authors"
copyright = "the hermtk authors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax", "config_keys"]
source_suffix = {".md": "markdown"}
# results.md is included by the tutorial
exclude_patterns = ["_build", "results.md"]

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autoclass_content = "both"
python_maximum_signature_line_length = 100
napoleon_numpy_docstring = False
napoleon_use_ivar = True

nitpick_ignore_regex = [
    # names of other packages and letters of shapes
    (r"py:.*", r"(?!hermtk\b).*"),
    # type variables
    (r"py:class", r"hermtk\.training\.processes\.Value"),
    # their keys are tables on the page on the configuration
    (r"py:class", r"hermtk\.(models|training)\.config\.\w+Config"),
]

# an attribute's name in a list of attributes looks for a target, and several classes have a center
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = f"hermtk {__version__}"


def _readable_docstring(app, what, name, obj, options, lines) -> None:
    """Our docstrings write |v| for a length, which reStructuredText would take for a substitution."""
    # what Python itself says of every named tuple
    kept = [
        line for line in lines if not line.startswith(("Alias for field number", "Create new instance of"))
    ]
    lines[:] = [
        "".join(p if p.startswith("``") else p.replace("|", r"\|") for p in re.split(r"(``.*?``)", line))
        for line in kept
    ]


def _readable_signature(app, what, name, obj, options, signature, returned) -> tuple[str | None, str | None]:
    """Defaults made by a function are not Python; with them a signature would be left as it is."""
    return (signature.replace("<factory>", "...") if signature else signature), returned


def setup(app) -> None:
    """Tell Sphinx."""
    app.connect("autodoc-process-docstring", _readable_docstring)
    app.connect("autodoc-process-signature", _readable_signature)
