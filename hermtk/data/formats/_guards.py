"""What keeps a damaged or a hostile file from doing more than being refused."""

import bz2
import contextlib
import gzip
import lzma
import threading
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any, cast
from xml.parsers import expat

from hermtk.errors import DataError

# A compressed file of structures is some 2 to 10 times smaller than what it holds; a bomb, a thousand times.
EXPANSION = 100
# bytes; what is smaller than this when expanded does no harm
HARMLESS = 256 * 2**20
# what a parser may take in memory: so much, and so many times the size of the file
MEMORY = 256 * 2**20
MEMORY_PER_BYTE = 64
_CHUNK = 2**20
_LIMIT = threading.RLock()
_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def check_expansion(path: Path, expanded: int) -> None:
    """Refuse a compressed file of which ``expanded`` bytes (so far) come out, many times more than it has.

    Raises:
        DataError: it is beyond what data sets are.
    """
    size = path.stat().st_size
    if expanded > max(HARMLESS, EXPANSION * size):
        raise DataError(
            f"{path} has {size:,} bytes and would expand to more than {expanded:,}, over {EXPANSION} times as many, "
            "as no data set does; expand it yourself if you trust it"
        )


def opened(path: Path) -> BufferedIOBase:
    """The bytes of a file, expanded where its suffix says that it is compressed.

    Raises:
        DataError: it would expand too far, or it is damaged or cut.
    """
    opener = _OPENERS.get(path.suffix.lower())
    if opener is None:
        return cast(BufferedIOBase, path.open("rb"))
    with cast(BufferedIOBase, opener(path, "rb")) as file:
        expanded = 0
        try:
            while piece := file.read(_CHUNK):
                expanded += len(piece)
                check_expansion(path, expanded)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as cause:
            raise DataError(f"{path} is damaged or cut, it cannot be expanded: {short(cause)}") from None
    return cast(BufferedIOBase, opener(path, "rb"))


def beginning(path: Path, size: int = 2**16) -> bytes:
    """The first bytes of a file, expanded where its suffix says that it is compressed; none where that fails."""
    opener = _OPENERS.get(path.suffix.lower(), open)
    with contextlib.suppress(OSError, EOFError, zlib.error, lzma.LZMAError), opener(path, "rb") as file:
        return cast(bytes, file.read(size))
    return b""


def short(cause: BaseException) -> str:
    """What an exception says, in a line; it may quote the whole file."""
    text = " ".join(str(cause)[:1000].split())
    text = text if len(text) < 200 else f"{text[:200]}..."
    return f"{type(cause).__name__}: {text}" if text else type(cause).__name__


def is_xml(path: Path) -> bool:
    """Whether a file begins as XML does, in any encoding that XML may have."""
    return beginning(path, 64).lstrip(b"\xef\xbb\xbf\xff\xfe\0 \r\n\t").startswith(b"<")


def check_xml(path: Path, file: BufferedIOBase, *, doctype: bool) -> None:
    """Refuse XML that declares entities, which may expand without bound or name other files; ``file`` is rewound.

    Only what stands before the first element can declare them, and the parser that reads it here is Python's own, so no
    encoding hides them. ``doctype`` says whether a document type may stand there at all.

    Raises:
        DataError: it does, or it is no XML.
    """

    def refuse(*_: Any) -> None:
        raise DataError(
            f"{path} declares a document type or entities, which can expand without bound or read other files; "
            "files of structures have none, it is not read"
        )

    def begin(*_: Any) -> None:
        nonlocal begun
        begun = True

    begun = False
    parser = expat.ParserCreate()
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = begin
    if not doctype:
        parser.StartDoctypeDeclHandler = refuse
    try:
        while not begun and (piece := file.read(4096)):
            parser.Parse(piece)
    except expat.ExpatError as cause:
        if not begun:
            raise DataError(f"{path} is no XML or it is damaged: {cause}") from None
    file.seek(0)


@contextlib.contextmanager
def bounded_memory(path: Path) -> Iterator[None]:
    """Inside, this process can take ``MEMORY`` more bytes and ``MEMORY_PER_BYTE`` for each byte of the file, then MemoryError.

    For parsers of others, which believe a file that announces a thousand million atoms. Linux only, elsewhere no bound.
    """
    try:
        import resource

        taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        yield
        return
    # the limit is the process's: two threads that set and restore it would leave it set
    with _LIMIT:
        before, hard = resource.getrlimit(resource.RLIMIT_AS)
        bound = taken + MEMORY + MEMORY_PER_BYTE * path.stat().st_size
        known = [limit for limit in (before, hard) if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min([bound, *known]), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (before, hard))
