"""Run as a script: an HDF5 file's groups, attributes and tables of chunks, looked at once.

In a damaged file these can end the process that follows them, or keep it for ever. So they are followed here first, in a process
that imports nothing of ours and that may die: by a signal, after ``SECONDS`` of CPU time or for want of memory. Errors that
Python sees are left to whoever reads the file afterwards.
"""

import contextlib
import sys
from typing import Any

SECONDS, MEMORY = 4, 1 << 32


def main(path: str) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    import h5py

    with contextlib.suppress(Exception), h5py.File(path, "r", locking=False) as file:
        waiting: list[Any] = [file]
        seen: set[int] = set()
        while waiting:
            here = waiting.pop()
            with contextlib.suppress(Exception):
                # the hash of where it is in the file
                if hash(here.id) in seen:
                    continue
                seen.add(hash(here.id))
            _look(here)
            if isinstance(here, h5py.Group):
                with contextlib.suppress(Exception):
                    for name in here:
                        with contextlib.suppress(Exception):
                            # links to other files are not followed
                            if isinstance(here.get(name, getlink=True), h5py.HardLink):
                                waiting.append(here[name])


def _look(here: Any) -> None:
    with contextlib.suppress(Exception):
        for name in here.attrs:
            with contextlib.suppress(Exception):
                _ = here.attrs[name]
    with contextlib.suppress(Exception):
        _ = (here.shape, here.dtype, here.chunks, here.is_virtual, here.external, here.id.get_storage_size())


if __name__ == "__main__":
    main(sys.argv[1])
