"""The path of the data is the map: a folder imports only from folders before it."""

import ast
from pathlib import Path

import pytest

import hermtk

PACKAGE = Path(hermtk.__file__).parent
ORDER = (
    "kernels",
    "data",
    "graph",
    "relations",
    "nn",
    "subnets",
    "readouts",
    "models",
    "physics",
    "audit",
    "training",
    "planning",
    "evaluation",
    "ablation",
)
# side by side: both come after everything else, neither before the other
LAST = ("testing", "interfaces", "benchmark")
FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Every module that a file imports, inside functions too; ``from a import b`` counts as ``a`` and ``a.b``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: line {node.lineno} imports by a relative name"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def folders_of(modules: set[str]) -> set[str]:
    """The folders of hermtk that modules are in."""
    parts = [module.split(".") for module in modules]
    return {
        part[1] for part in parts if part[0] == "hermtk" and len(part) > 1 and (PACKAGE / part[1]).is_dir()
    }


def allowed(folder: str) -> set[str]:
    """The folders that a folder may import from, itself among them."""
    before = ORDER if folder in LAST else ORDER[: ORDER.index(folder)]
    return {folder, *before}


def test_every_folder_has_its_place():
    assert {path.parts[0] for path in FILES if len(path.parts) > 1} == {*ORDER, *LAST}


@pytest.mark.parametrize("file", [path for path in FILES if len(path.parts) > 1], ids=str)
def test_a_folder_imports_only_from_folders_before_it(file: Path):
    assert folders_of(imported(PACKAGE / file)) - allowed(file.parts[0]) == set()


@pytest.mark.parametrize("file", [path for path in FILES if len(path.parts) == 1], ids=str)
def test_what_everyone_may_import_imports_no_folder(file: Path):
    assert folders_of(imported(PACKAGE / file)) == set()


def test_the_library_does_not_know_its_command_line():
    strange = {"hermtk_cli", "typer", "rich"}
    used = {
        str(file): {module.split(".")[0] for module in imported(PACKAGE / file)} & strange for file in FILES
    }
    assert {file: packages for file, packages in used.items() if packages} == {}


@pytest.mark.parametrize(
    ("text", "folders"),
    [
        ("from hermtk import physics", {"physics"}),
        ("import hermtk.nn.typed as t", {"nn"}),
        ("def f():\n    from hermtk.models.build import build_model", {"models"}),
        ("from hermtk import __version__, errors\nimport torch.nn", set()),
    ],
)
def test_imports_are_seen_wherever_they_hide(tmp_path: Path, text: str, folders: set[str]):
    path = tmp_path / "some.py"
    path.write_text(text, encoding="utf-8")
    assert folders_of(imported(path)) == folders
