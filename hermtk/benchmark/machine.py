"""What figures depend on: processor, threads, versions."""

import os
import platform
from pathlib import Path
from typing import Any

import torch

from hermtk.kernels import library


def machine(device: str) -> dict[str, Any]:
    """Of this process: processor, cores it may use, accelerator if one is used, versions, whether our kernels are in use."""
    return {
        "processor": _processor(),
        "accelerator": torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else None,
        "cores": cores(),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "kernels": library.loaded,
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
    }


def _processor() -> str:
    """The processor's own name, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor() or platform.machine())


def cores() -> int:
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
