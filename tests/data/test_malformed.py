"""Damaged and hostile files, over all readers: refused in a paragraph, nothing run, no memory taken."""

import json
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import read_malformed
from malformed import Bad, generate
from malformed_archives import pickled

from hermtk.registry import entries
from hermtk_cli.main import run

# bytes that reading one small file may take; a file that is believed takes thousands of millions
MEMORY = 300 * 2**20


@dataclass(frozen=True)
class Read:
    """A file and what came of reading it: structures, 'refused: ...', 'escaped: ...' or 'crashed: ...'."""

    bad: Bad
    outcome: str
    memory: int


@pytest.fixture(scope="module")
def trap(tmp_path_factory) -> Path:
    """What exists once the code in a file has run."""
    return tmp_path_factory.mktemp("trap") / "ran"


@pytest.fixture(scope="module")
def reads(tmp_path_factory, trap) -> list[Read]:
    """Every malformed file, read in processes of their own, which may die of it."""
    folder = tmp_path_factory.mktemp("malformed")
    files = generate(folder, trap)
    listing = folder / "files.txt"
    listing.write_text("\n".join(str(bad.path) for bad in files) + "\n", encoding="utf-8")
    done: list[Read] = []
    while len(done) < len(files):
        command = [sys.executable, read_malformed.__file__, str(listing), str(len(done))]
        child = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        for line in child.stdout.splitlines():
            said = json.loads(line)
            done.append(Read(files[len(done)], said["outcome"], said["memory"]))
        if len(done) < len(files):
            done.append(Read(files[len(done)], f"crashed: {child.returncode} {child.stderr[-300:]}", 0))
    return done


@pytest.mark.timeout(400)
def test_there_are_files_for_every_reader(reads):
    assert len(reads) >= 300
    names = " ".join(str(read.bad.path) for read in reads)
    marks = {
        "ase": ".traj", "deepmd": "system", "extxyz": ".xyz", "hdf5": ".h5", "lmdb": ".aselmdb", "pymatgen": ".pymatgen.json",
        "qm9": "qm9", "qmmm": "qmmm.npz", "ragged": "a.npz", "sgdml": "rmd17.npz", "store": ".store", "vasp": "OUTCAR",
    }  # fmt: skip
    ours = {name for name, entry in entries("format").items() if entry.distribution == "hermtk"}
    assert set(marks) == ours, "a new format needs malformed files: add them to malformed.py"
    optional = {"hdf5": "h5py", "lmdb": "lmdb"}
    for name, mark in marks.items():
        if name in optional:
            pytest.importorskip(optional[name], reason=f'needs pip install "hermtk[{name}]"')
        assert mark in names


def test_every_file_is_refused_and_nothing_else_is_raised(reads):
    wrong = [read for read in reads if read.outcome.startswith(("escaped", "crashed"))]
    assert wrong == []
    believed = [read for read in reads if not read.bad.harmless and not read.outcome.startswith("refused")]
    assert believed == []


def test_every_refusal_names_the_file(reads):
    for read in reads:
        if read.outcome.startswith("refused"):
            # QM9 names the table in its folder
            assert read.bad.path.name in read.outcome or "qm9_part1.csv" in read.outcome, read


def test_no_refusal_is_longer_than_a_paragraph(reads):
    for read in reads:
        assert len(read.outcome) < 1500, read
        assert "Traceback" not in read.outcome


def test_no_code_of_a_file_was_run(reads, trap, tmp_path):
    assert not trap.exists()
    # the trap bites: loaded as a pickle, it makes its mark
    pickle.loads(pickled(tmp_path / "ran")).close()
    assert (tmp_path / "ran").exists()


def test_no_file_takes_memory_beyond_its_size(reads):
    read_malformed.forget()
    before = read_malformed.peak()
    if not before:
        pytest.skip("needs /proc, where Linux says how much memory was taken")
    assert len(b"1" * 2**26) == 2**26
    assert read_malformed.peak() - before > 2**25
    assert [read for read in reads if read.memory > MEMORY] == []


COMMANDS = pytest.mark.parametrize(
    "name",
    [
        "bomb.npz",
        "pickle.npz",
        "count.xyz",
        "deep.json",
        "view.db",
        "laughs/vasprun.xml",
        "OUTCAR_count",
        "old.traj",
    ],
)


def _place(reads: list[Read], name: str) -> Path:
    return next(read.bad.path for read in reads if str(read.bad.path).endswith(f"/{name}"))


@COMMANDS
def test_the_command_line_refuses_them_in_a_line(reads, name, capfd, tmp_path):
    status = run(["convert", str(_place(reads, name)), str(tmp_path / "out.extxyz")])
    said = capfd.readouterr()
    assert status == 1
    assert said.err.startswith("error: ")
    assert "Traceback" not in said.err + said.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["bomb.npz", "columns.xyz", "bomb.json"])
def test_a_run_on_them_is_refused_before_it_starts(reads, name, capfd, tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text(f"data:\n  train: {_place(reads, name)}\n", encoding="utf-8")
    status = run(["validate", str(config)])
    said = capfd.readouterr()
    assert status == 1
    assert Path(name).name in said.err
    assert "Traceback" not in said.err + said.out


def test_the_installed_command_says_so_too(reads, tmp_path):
    script = "from hermtk_cli.main import main; raise SystemExit(main())"
    command = [
        sys.executable,
        "-c",
        script,
        "convert",
        str(_place(reads, "bomb.npz")),
        str(tmp_path / "out.npz"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
