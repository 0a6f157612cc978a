"""The errors that people see. Each message says what was found, where, and what to do."""

import difflib
from collections.abc import Iterable


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """A question about the known name that was probably meant: "" if none is like it."""
    near = difflib.get_close_matches(found, list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else ""


def nearest(found: str, known: Iterable[str]) -> str:
    """That question, or else all that are known."""
    known = sorted(known)
    return did_you_mean(found, known) or f"known here: {', '.join(known)}"


class SegmentationError(Exception):
    """Something went wrong that the caller can do something about."""

    exit_code = 1


class ConfigError(SegmentationError):
    """The command line, the configuration or a recipe is wrong; nothing was read or written."""

    exit_code = 2


class DataContractError(SegmentationError):
    """The data broke its contract. The same data will break it again: never retried."""


class NoRowsError(DataContractError):
    """The day has no rows, and the configuration does not allow empty days."""


class NotYetError(SegmentationError):
    """The day's rows have not all arrived. They may, so it is tried again; until then the day is not published."""


class SourceError(SegmentationError):
    """A source cannot be reached, or went away while it was read. That may pass."""


class StoreError(SegmentationError):
    """The store holds something that it should not hold, or lacks something that it should."""
