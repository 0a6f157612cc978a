"""The folder of one derivation: its inputs, its files, its identity, and the manifest that completes it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from segmentation.store.content import (
    canonical_json,
    hash_bytes,
    hash_json,
    hash_table,
    parquet_bytes,
    read_parquet,
    seal,
    unseal,
)
from segmentation.store.objects import Objects

KEYS = {
    "memberships": ["user_id"],
    "segments": ["segment_id"],
    "migrations": ["from_segment_id", "to_segment_id"],
    "drift": ["feature"],
    "drift_bins": ["date", "feature"],
    "profiles": ["segment_id", "name", "value"],
    "names": ["segment_id"],
    "actions": ["user_id"],
    "cooldowns": ["user_id", "action"],
    "returned": ["user_id", "item"],
    "next_items": ["user_id", "rank"],
}
SERVED = ("profiles", "names", "actions", "cooldowns")  # of these, what days of earlier versions have not
DAILY = ("returned", "next_items")  # nor these, which came later
# Only on the days on which they are computed anew; rules.json tells their hashes, and on which day that was.
RULES = {"rules": ["segment_id", "rule"], "bundles": ["segment_id", "rank"]}
SCHEMA_VERSIONS = {**dict.fromkeys([*KEYS, *RULES], 1), "features": 1}
MANIFEST = "manifest.json"
NEW, LAPSED = "NEW", "LAPSED"  # in migrations, where there is no segment: before users came, after they left
NOISE = "NOISE"  # where users are who are not near enough to any segment (DBSCAN, HDBSCAN)


def exact_hash(table: pa.Table, keys: Sequence[str]) -> str:
    """Hash of a table without its floats: those of the rules are made of counts, by functions that give another last digit on
    other machines."""
    exact = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
    return hash_table(table.select(exact), keys)


@dataclass(frozen=True)
class Folder:
    """snapshots/date=YYYY-MM-DD/<derivation>/"""

    objects: Objects
    day: date
    derivation: str

    @classmethod
    def at(cls, objects: Objects, path: str) -> "Folder":
        """The folder at a path below the store."""
        day, derivation = path.removeprefix("snapshots/date=").split("/")
        return cls(objects, date.fromisoformat(day), derivation)

    @property
    def path(self) -> str:
        return f"snapshots/date={self.day}/{self.derivation}"

    def put_table(self, name: str, table: pa.Table) -> None:
        self.objects.put(f"{self.path}/{name}.parquet", parquet_bytes(table))

    def put_json(self, name: str, document: dict[str, Any]) -> None:
        self.objects.put(f"{self.path}/{name}.json", canonical_json(document))

    def table(self, name: str) -> pa.Table:
        return read_parquet(self.objects.get(f"{self.path}/{name}.parquet"))

    def json(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.objects.get(f"{self.path}/{name}.json")))

    def manifest(self) -> dict[str, Any] | None:
        """The manifest, or None while the folder is not complete."""
        key = f"{self.path}/{MANIFEST}"
        data = self.objects.find(key)
        return None if data is None else unseal(data, key)

    @property
    def is_served(self) -> bool:
        """Whether the day has profiles, names, rules and actions; one of an earlier version has not."""
        return self.objects.exists(f"{self.path}/rules.json")

    def has(self, name: str) -> bool:
        """Whether there is such a table; days of earlier versions lack those of DAILY."""
        return self.objects.exists(f"{self.path}/{name}.parquet")

    def snapshot_id(self) -> str:
        """Hash of the logical content, read back from the files: the tables that are history, the model, the decision, and
        which rules hold.

        Not of features (kept for a while only), quality, inputs or words.
        """
        decision = self.json("decision")
        served = self.is_served
        names = [name for name in KEYS if (self.has(name) if name in DAILY else served or name not in SERVED)]
        held = {"rules": self._rules_that_hold()} if served else {}
        return hash_json(
            {
                "date": self.day.isoformat(),
                "tables": {name: hash_table(self.table(name), KEYS[name]) for name in names},
                "model": self.json("model"),
                "decision": {key: value for key, value in decision.items() if key != "sentence"},
                **held,
            }
        )

    def _rules_that_hold(self) -> dict[str, Any]:
        rules = self.json("rules")
        return {key: rules[key] for key in ("date", "figures", "nothing", "hashes")}

    def hashes_of_rules(self) -> dict[str, str]:
        """The hash of each table that was computed with the rules, read back from the files."""
        return {name: exact_hash(self.table(name), keys) for name, keys in RULES.items()}

    def complete(self, snapshot_id: str, summary: dict[str, Any]) -> None:
        """Write the manifest, which makes the folder whole."""
        files = {}
        rows = {}
        for key in self.objects.keys(self.path):
            name = key.removeprefix(f"{self.path}/")
            if name == MANIFEST:
                continue
            data = self.objects.get(key)
            files[name] = hash_bytes(data)
            if name.endswith(".parquet"):
                rows[name] = read_parquet(data).num_rows
        document = {
            "date": self.day.isoformat(),
            "derivation": self.derivation,
            "snapshot_id": snapshot_id,
            "files": files,
            "rows": rows,
            "schema_versions": SCHEMA_VERSIONS,
            "summary": summary,
        }
        self.objects.put(f"{self.path}/{MANIFEST}", seal(document))

    def files(self) -> dict[str, str]:
        """The hash of every file of a complete folder, the manifest's too."""
        key = f"{self.path}/{MANIFEST}"
        data = self.objects.get(key)
        return {**unseal(data, key)["files"], MANIFEST: hash_bytes(data)}
