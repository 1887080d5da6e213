"""The compiled kernels: built once per machine from the source beside this file, found again by a hash of what they depend on.

A plain C interface called through ctypes needs neither torch's headers nor a build system: a build takes half a minute at most.
Where it cannot be built the caller takes torch's way, and one warning says why. ``HERMTK_KERNELS=torch`` in the environment
leaves the kernels aside.
"""

import ctypes
import hashlib
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
        _go_without(compiler_missing())
        return None
    global loaded  # noqa: PLW0603
    try:
        kernels = ctypes.CDLL(str(_built(program)))
    except (OSError, subprocess.SubprocessError, HermtkError) as problem:
        complaint = getattr(problem, "stderr", None) or str(problem)
        _go_without(f"building them failed: {complaint.strip()[:300]}")
        return None
    loaded = True
    return kernels


def _go_without(reason: str) -> None:
    warnings.warn(
        f"hermtk's compiled kernels are not used: {reason}. The models give the same, slower; "
        f"{VARIABLE}=torch silences this.",
        RuntimeWarning,
        stacklevel=3,
    )


def cache_folder() -> Path:
    """Where built kernels are kept: ``hermtk`` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hermtk"


def _built(program: str) -> Path:
    path = cache_folder() / f"kernels-{_digest(program)}.so"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        try:
            _build(program, beside, "-fopenmp")
        except subprocess.CalledProcessError:
            _build(program, beside)  # a compiler without OpenMP: one thread
    return path


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
