"""The compiled kernels: built once per machine from the source beside this file, found again by a hash of what they depend on.

A plain C interface called through ctypes needs neither torch's headers nor a build system: a build takes about 15 seconds, and a
log record says so first. Where it cannot be built the caller takes torch's way, and one warning says why.
``HERMTK_KERNELS=torch`` in the environment leaves the kernels aside.
"""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import warnings
from functools import cache
from pathlib import Path

from hermtk.errors import HermtkError, UnknownName
from hermtk.files import replacing

VARIABLE = "HERMTK_KERNELS"
CHOICES = ("auto", "torch")
_SOURCE = Path(__file__).with_name("convolution.cpp")
_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-std=c++17", "-shared", "-fPIC")
_log = logging.getLogger(__name__)


def compiler() -> str | None:
    """The C++ compiler of this machine: ``CXX`` of the environment, else the first that is found."""
    chosen = os.environ.get("CXX")
    candidates = [chosen] if chosen else ["g++", "clang++"]
    return next((path for name in candidates if (path := shutil.which(name))), None)


def compiler_missing() -> str:
    """Why nothing can be compiled here; empty where it can."""
    if compiler():
        return ""
    looked = os.environ.get("CXX") or "g++, clang++"
    return f"no C++ compiler was found (looked for {looked})"


loaded = False  # whether ``library`` has found them: what a traced graph goes by


@cache
def library() -> ctypes.CDLL | None:
    """The kernels, built at the first call ever; None where torch's way has to do. Call it before tracing a model.

    Raises:
        UnknownName: the environment variable holds no valid choice.
    """
    choice = os.environ.get(VARIABLE) or CHOICES[0]
    if choice not in CHOICES:
        raise UnknownName(f"kernels (environment variable {VARIABLE})", choice, CHOICES)
    if choice == "torch":
        return None
    program = compiler()
    if program is None:
        return _go_without(compiler_missing(), "Install one, or name yours in CXX.")
    global loaded  # noqa: PLW0603
    try:
        kernels = _kernels(program)
    except subprocess.SubprocessError as problem:
        return _go_without(f"the kernels could not be built: {_brief(problem)}")
    # RuntimeError: a user without a home
    except (OSError, RuntimeError, HermtkError) as problem:
        return _go_without(
            f"the kernels could not be built and kept: {problem}", "XDG_CACHE_HOME names another folder."
        )
    loaded = True
    return kernels


def _go_without(reason: str, cure: str = "") -> None:
    text = f"{reason}: models give the same, several times slower. {cure} {VARIABLE}=torch silences this."
    warnings.warn(" ".join(text.split()), RuntimeWarning, stacklevel=3)


def _brief(problem: subprocess.SubprocessError) -> str:
    """The first error of a compiler, or what else went wrong."""
    if isinstance(problem, subprocess.TimeoutExpired):
        return f"the compiler took more than {problem.timeout:.0f} s"
    said = problem.stderr if isinstance(problem, subprocess.CalledProcessError) else None
    lines = (said or str(problem)).strip().splitlines()
    return next((line for line in lines if "error" in line), lines[0])[:300]


def cache_folder() -> Path:
    """Where built kernels are kept: ``hermtk`` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hermtk"


def _kernels(program: str) -> ctypes.CDLL:
    """Those in the cache, or new ones where none can be used."""
    path = cache_folder() / f"kernels-{_digest(program)}.so"
    if path.exists():
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            _log.info("%s is damaged", path)
    _log.info("building the kernels once for this machine (about 15 s)")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        try:
            _build(program, beside, "-fopenmp")
        except subprocess.CalledProcessError:
            _build(program, beside)  # a compiler without OpenMP: one thread
    return ctypes.CDLL(str(path))


def _build(program: str, path: Path, *more: str) -> None:
    command = [program, *_FLAGS, *more, str(_SOURCE), "-o", str(path)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)


def _digest(program: str) -> str:
    """Of all that the library depends on: source, compiler and its version, flags, processor."""
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True, timeout=60)
    parts = (_SOURCE.read_text(), version.stdout, " ".join(_FLAGS), platform.machine(), _processor())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
