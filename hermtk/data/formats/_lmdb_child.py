"""Run as a script: the values of an LMDB file, by number, on standard output.

LMDB maps the file and trusts it: a damaged one can end the process that reads it by a signal. So it is read here, in a process
that imports nothing of ours, and that may die. Before each value stand its number and its length, 8 bytes each; the entries
``nextid`` and ``deleted_ids``, empty where absent, come first as numbers of their own, and at the end stands the number
2**64 - 1. Errors are one line on standard error and the exit status 1.
"""

import struct
import sys
from array import array

HEAD = struct.Struct("<QQ")
END, NEXT, DELETED = 2**64 - 1, 2**64 - 2, 2**64 - 3
# bytes of one value, a structure packed
LARGEST = 1 << 28


def main(path: str) -> int:
    import lmdb

    out = sys.stdout.buffer
    try:
        with (
            lmdb.open(path, subdir=False, readonly=True, lock=False, readahead=False) as env,
            env.begin(buffers=True) as txn,
        ):
            for number, key in ((NEXT, b"nextid"), (DELETED, b"deleted_ids")):
                _send(out, number, txn.get(key, b""))
            for number in _numbers(txn):
                value = txn.get(b"%d" % number)
                if value is None or len(value) > LARGEST:
                    return _fail(f"the entry {number} is missing or too large")
                _send(out, number, value)
            _send(out, END, b"")
            out.flush()
    except BrokenPipeError:
        return 1
    except (lmdb.Error, OSError, MemoryError, OverflowError, ValueError) as cause:
        return _fail(str(cause))
    return 0


def _send(out, number: int, value) -> None:
    out.write(HEAD.pack(number, len(value)))
    out.write(value)


def _numbers(txn) -> "array[int]":
    """The keys that are numbers, sorted; LMDB itself sorts them as text."""
    numbers, before = array("Q"), b""
    with txn.cursor() as cursor:
        for key in cursor.iternext(values=False):
            text = bytes(key)
            # a damaged tree may lead in a circle
            if text <= before:
                raise ValueError("its keys are not in order")
            before = text
            if text.isdigit() and len(text) < 19:
                numbers.append(int(text))
    return array("Q", sorted(numbers))


def _fail(reason: str) -> int:
    sys.stderr.write(" ".join(reason.split()) + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
