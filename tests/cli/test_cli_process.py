"""Settings of the process, made before torch is loaded."""

import os

import pytest

from hermtk_cli import process
from hermtk_cli.process import prepare_process

MMAP, TRIM = -3, -1


class Library:
    """Stands for the C library; refuses thresholds above ``most``."""

    def __init__(self, most: int = 2**31) -> None:
        self.most = most
        self.set: dict[int, int] = {}

    def mallopt(self, name: int, value: int) -> int:
        if value > self.most:
            return 0
        self.set[name] = value
        return 1


@pytest.fixture
def library(monkeypatch):
    for name in (
        "OMP_WAIT_POLICY",
        "HERMTK_DEFAULT_MALLOC",
        "MALLOC_MMAP_THRESHOLD_",
        "GLIBC_TUNABLES",
        "LD_PRELOAD",
    ):
        monkeypatch.delenv(name, raising=False)
    # what the function sets is taken back after the test
    for name in ("OMP_WAIT_POLICY", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "to be taken back")
        monkeypatch.delenv(name)
    found = Library()
    monkeypatch.setattr(process.ctypes, "CDLL", lambda name: found)
    return found


def test_freed_memory_is_kept_and_idle_threads_sleep(library):
    prepare_process()
    assert library.set == {MMAP: 2**30, TRIM: 2**31 - 1}
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_one_thread_is_used_unless_the_user_asks_for_more(library, monkeypatch):
    prepare_process()
    assert os.environ["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    prepare_process()
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_an_older_glibc_gets_what_it_takes(library):
    library.most = 2**25
    prepare_process()
    assert library.set == {MMAP: 2**25}


@pytest.mark.parametrize(
    "name", ["HERMTK_DEFAULT_MALLOC", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD"]
)
def test_the_allocator_is_left_alone_where_the_user_chose(library, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    prepare_process()
    assert library.set == {}


def test_the_users_wait_policy_is_kept(library, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    prepare_process()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


@pytest.mark.parametrize("problem", [AttributeError, OSError, TypeError])
def test_other_c_libraries_are_left_alone(library, monkeypatch, problem):
    def none(name):
        raise problem

    monkeypatch.setattr(process.ctypes, "CDLL", none)
    prepare_process()
