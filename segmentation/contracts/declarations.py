"""What a valid row and a normal day are, as declared: Great Expectations' own configurations, in a JSON file per table.

`rows` hold for every accepted row; `meta.reason` says what is wrong with a row that violates one. `day` holds for the
day's figures (`quarantined_share`, `volume_ratio`, `unknown_event_share`, `currencies`). {"$PARAMETER": name} is a limit that
the configuration has.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Declaration:
    """Expectations in Great Expectations' form: {type, kwargs, severity, meta}."""

    rows: tuple[dict[str, Any], ...]
    day: tuple[dict[str, Any], ...]


@cache
def declaration(table: str) -> Declaration:
    document = json.loads((files(__package__) / f"{table}.json").read_text(encoding="utf-8"))
    return Declaration(tuple(document["rows"]), tuple(document["day"]))
