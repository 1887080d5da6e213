"""The compiled kernels are built once, found again, and done without where they cannot be had."""

import ctypes
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from hermtk.errors import UnknownName
from hermtk.kernels import library as module
from hermtk.kernels.convolution import usable

needs_compiler = pytest.mark.skipif(bool(module.compiler_missing()), reason=module.compiler_missing())
_REAL = module.compiler()
# stands for a compiler: another source makes a library in no time
FAKE = """#!/bin/sh
if [ "$1" = --version ]; then echo "fake {version}"; exit 0; fi
echo "$@" >> "{log}"
{body}
while [ "$1" != -o ]; do shift; done
exec "{real}" -shared -fPIC -x c "{source}" -o "$2"
"""


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """As in a new process of a user whose cache is empty; the folder of the cache."""
    for name in (module.VARIABLE, "CXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "library", module.library.__wrapped__)
    monkeypatch.setattr(module, "loaded", False)
    return tmp_path / "cache" / "hermtk"


@pytest.fixture
def fake(fresh: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Put a quick compiler in the place of the real one; returns the commands that it gets."""
    log, source = tmp_path / "commands", tmp_path / "empty.c"
    source.write_text("int number = 3;\n")

    def install(version: str = "1.0", body: str = "") -> Path:
        text = FAKE.format(version=version, body=body, log=log, source=source, real=_REAL)
        program = tmp_path / "fake-c++"
        program.write_text(text)
        program.chmod(0o755)
        monkeypatch.setenv("CXX", str(program))
        return log

    return install


def built(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


@needs_compiler
def test_the_cache_holds_one_file_named_by_a_digest_and_it_is_built_once(fake, fresh: Path):
    log = fake()
    assert isinstance(module.library(), ctypes.CDLL)
    assert module.loaded
    (path,) = fresh.iterdir()
    assert path.name == f"kernels-{module._digest(os.environ['CXX'])}.so"
    made = path.stat().st_mtime_ns
    assert module.library() is not None
    assert (built(log), path.stat().st_mtime_ns) == (1, made)
    command = log.read_text().split()
    assert {"-O3", "-fopenmp", str(module._SOURCE)} <= {*command}


@needs_compiler
def test_whatever_the_kernels_depend_on_is_in_the_digest(fake, fresh: Path, monkeypatch, tmp_path: Path):
    def digest() -> str:
        return module._digest(os.environ["CXX"])

    fake()
    found = [digest()]
    assert digest() == found[0]
    fake(version="1.1")
    found.append(digest())
    source = tmp_path / "convolution.cpp"
    source.write_text(module._SOURCE.read_text() + "// changed\n")
    monkeypatch.setattr(module, "_SOURCE", source)
    found.append(digest())
    monkeypatch.setattr(module, "_FLAGS", ("-O2",))
    found.append(digest())
    monkeypatch.setattr(module, "_processor", lambda: "another processor")
    found.append(digest())
    assert len(set(found)) == 5


@needs_compiler
def test_a_build_is_announced_and_a_second_start_is_silent(fake, fresh: Path, caplog):
    fake()
    with caplog.at_level(logging.INFO, logger="hermtk"):
        module.library()
        assert caplog.messages == ["building the kernels once for this machine (about 15 s)"]
        caplog.clear()
        module.library()
        assert caplog.messages == []


@needs_compiler
@pytest.mark.parametrize("content", [b"", b"no library at all", b"\x7fELF and nothing more"])
def test_a_damaged_file_is_built_anew(fake, fresh: Path, content: bytes):
    log = fake()
    fresh.mkdir(parents=True)
    path = fresh / f"kernels-{module._digest(os.environ['CXX'])}.so"
    path.write_bytes(content)
    kernels = module.library()
    assert kernels is not None
    assert ctypes.c_int.in_dll(kernels, "number").value == 3
    assert built(log) == 1
    assert [*fresh.iterdir()] == [path]


@needs_compiler
def test_a_compiler_without_openmp_will_do(fake, fresh: Path):
    log = fake(body='case "$*" in *-fopenmp*) echo "error: no OpenMP" >&2; exit 1;; esac')
    assert module.library() is not None
    assert built(log) == 2


def test_without_a_compiler_one_warning_says_what_to_do(fresh: Path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.warns(RuntimeWarning) as said:
        assert module.library() is None
    (warning,) = said
    assert str(warning.message) == (
        "no C++ compiler was found (looked for g++, clang++): models give the same, several times slower. "
        "Install one, or name yours in CXX. HERMTK_KERNELS=torch silences this."
    )
    assert not module.loaded
    assert not fresh.exists()


def test_a_compiler_that_the_user_names_is_the_only_one_looked_for(fresh: Path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert module.compiler() is None
    assert module.compiler_missing() == "no C++ compiler was found (looked for no-such-compiler)"


@needs_compiler
def test_a_build_that_fails_says_the_compilers_first_error(fake, fresh: Path):
    fake(body='printf "In file a:\\nb.cpp:3: error: what is this\\nerror: more\\n" >&2; exit 1')
    with pytest.warns(
        RuntimeWarning, match=r"^the kernels could not be built: b\.cpp:3: error: what is this: "
    ):
        assert module.library() is None
    assert not module.loaded
    assert [*fresh.iterdir()] == []


@needs_compiler
def test_a_compiler_that_takes_for_ever_is_given_up(fake, fresh: Path, monkeypatch):
    fake()

    def never(command, timeout=0.0, **_):
        if "--version" in command:
            return subprocess.CompletedProcess(command, 0, "fake", "")
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(module.subprocess, "run", never)
    with pytest.warns(RuntimeWarning, match="the compiler took more than 600 s"):
        assert module.library() is None


@needs_compiler
def test_a_cache_that_cannot_be_written_is_named(fake, fresh: Path):
    fake()
    fresh.parent.write_text("a file where the folder would be")
    with pytest.warns(
        RuntimeWarning, match="could not be built and kept.*XDG_CACHE_HOME names another folder"
    ):
        assert module.library() is None


def test_the_cache_is_where_the_user_keeps_caches(fresh: Path, monkeypatch, tmp_path: Path):
    assert module.cache_folder() == fresh
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert module.cache_folder() == tmp_path / ".cache" / "hermtk"


def test_torch_leaves_the_kernels_aside_without_a_word(fresh: Path, monkeypatch):
    monkeypatch.setenv(module.VARIABLE, "torch")
    monkeypatch.setenv("PATH", "")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert module.library() is None
    assert not usable(torch.zeros(1))
    assert not fresh.exists()


def test_another_choice_is_refused_with_the_nearest(fresh: Path, monkeypatch):
    monkeypatch.setenv(module.VARIABLE, "troch")
    with pytest.raises(
        UnknownName, match=r"HERMTK_KERNELS\) named 'troch'\. Did you mean 'torch'\? Known: auto"
    ):
        module.library()


CHILD = """
import sys
from hermtk.kernels import library
assert library.library() is not None
print(library.loaded)
"""


@needs_compiler
def test_two_processes_may_build_at_once(fake, fresh: Path):
    # the sleep lets both find an empty cache
    log = fake(body="sleep 1")
    children = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", CHILD],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    ends = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0, 0], ends
    assert [out for out, _ in ends] == ["True\n", "True\n"]
    assert built(log) == 2
    (path,) = fresh.iterdir()
    ctypes.CDLL(str(path))


@needs_compiler
def test_a_build_that_is_killed_leaves_nothing_that_would_be_loaded(fake, fresh: Path):
    """The file beside has another name, so that the next start does not take it for whole."""
    fake(body="kill -9 $PPID")
    done = subprocess.run([sys.executable, "-c", CHILD], check=False, capture_output=True)
    assert done.returncode == -9
    assert not [path for path in fresh.iterdir() if path.name.startswith("kernels-")]
    log = fake()
    assert module.library() is not None
    assert built(log) == 2


@pytest.mark.slow
@needs_compiler
def test_the_real_source_is_built_by_the_real_compiler_without_warnings(fresh: Path, tmp_path: Path):
    command = [_REAL, *module._FLAGS, "-fopenmp", "-Wall", str(module._SOURCE), "-o", str(tmp_path / "k.so")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    assert ctypes.CDLL(str(tmp_path / "k.so")).second_double
