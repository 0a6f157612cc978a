"""Dying at a write: the store's only way to write is `Objects.put`, so every write point is a number."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from segmentation.store import store as stores
from segmentation.store.objects import Objects


class Killed(BaseException):
    """Not an Exception: nothing may catch it and carry on."""


@contextmanager
def kill_at(number: int, when: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Die before or after the write with this number (from 0). What the process had in memory is gone afterwards."""
    put = Objects.put
    left = number

    def dying(self: Objects, key: str, data: bytes) -> bool:
        nonlocal left
        left -= 1
        if left == -1 and when == "before":
            raise Killed(key)
        wrote = put(self, key, data)
        if left == -1:
            raise Killed(key)
        return wrote

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "put", dying)
        try:
            yield
        finally:
            stores._opened.cache_clear()


def writes_of(work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that `work` puts, in order."""
    put = Objects.put
    keys: list[str] = []

    def counting(self: Objects, key: str, data: bytes) -> bool:
        keys.append(key)
        return put(self, key, data)

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "put", counting)
        work()
    return keys
