"""The commit log: numbered records that are claimed by put-if-absent, each sealed and chained to the one before.

Two writers cannot both win a number; the loser reads what the winner wrote, decides again, and tries the next number.
"""

import getpass
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from segmentation import __version__
from segmentation.errors import StoreError
from segmentation.store.content import hash_json, seal, unseal
from segmentation.store.objects import Objects
from segmentation.store.state import State

CHECKPOINT_EVERY = 64


class Log:
    """The log of one store. `state()` is the replay of all records from the newest checkpoint."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._state: State | None = None
        self._replaying = Lock()  # a store is shared by the threads of a process; one record is replayed once

    def state(self) -> State:
        """The state after the last record.

        Raises StoreError if a record is damaged or does not follow its predecessor.
        """
        with self._replaying:
            state = self._state or self._checkpoint()
            while (data := self._objects.find(key_of(state.number + 1))) is not None:
                record = unseal(data, key_of(state.number + 1))
                state.apply(record, hash_json(record))
            self._state = state
            return state.copy()

    def append(self, decide: Callable[[State], dict[str, Any] | None]) -> State:
        """Append what `decide` makes of the newest state; None appends nothing. Decided again after each lost race."""
        while True:
            state = self.state()
            body = decide(state)
            if body is None:
                return state
            self._refuse_a_hole(state.number + 1)
            record = {"number": state.number + 1, "previous": state.head, **body, **_signature()}
            if self._objects.put(key_of(record["number"]), seal(record)):
                state = self.state()
                # Not `state`: others may have written on. The record that we wrote says whether a checkpoint is due.
                if record["number"] % CHECKPOINT_EVERY == 0:
                    self._objects.put(checkpoint_key(state.number), seal(state.document()))
                return state

    def _refuse_a_hole(self, number: int) -> None:
        """Raise StoreError if a later record exists and this one does not: it was lost, and may still be put back."""
        if self._objects.exists(key_of(number + 1)) and not self._objects.exists(key_of(number)):
            raise StoreError(f"{key_of(number)} is missing, a later record is there; put it back from a backup")

    def records(self) -> Iterator[dict[str, Any]]:
        """All records from the first. Raises StoreError at a damaged one."""
        number = 1
        while (data := self._objects.find(key_of(number))) is not None:
            yield unseal(data, key_of(number))
            number += 1

    def _checkpoint(self) -> State:
        for key in reversed(self._objects.keys("checkpoints")):
            try:
                return State.from_document(unseal(self._objects.get(key), key))
            except (StoreError, KeyError, TypeError, ValueError):  # damaged, or of another version
                continue  # disposable: an older one, or the log from its start, gives the same state
        return State()


def key_of(number: int) -> str:
    return f"log/{number:014d}.json"


def checkpoint_key(number: int) -> str:
    return f"checkpoints/{number:014d}.json"


def _signature() -> dict[str, Any]:
    # The only place that reads a clock. Who, when and with what version are told to people; no result depends on them.
    try:
        user = os.environ.get("SEGMENTATION_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "by": user, "version": __version__}
