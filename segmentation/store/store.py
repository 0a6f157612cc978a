"""One store: its objects, its log, its recipes, and the snapshot folders."""

import json
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from segmentation.config import Config, Recipe
from segmentation.errors import StoreError
from segmentation.store.content import canonical_json, hash_bytes
from segmentation.store.log import Log
from segmentation.store.objects import Objects
from segmentation.store.state import State


@dataclass(frozen=True)
class Store:
    objects: Objects
    log: Log

    def state(self) -> State:
        return self.log.state()

    def put_named(self, folder: str, document: dict[str, Any]) -> str:
        """Keep a JSON document under the hash of its bytes; returns the hash."""
        data = canonical_json(document)
        name = hash_bytes(data)
        self.objects.put(f"{folder}/{name}.json", data)
        return name

    def named(self, folder: str, name: str) -> dict[str, Any]:
        """The document that `put_named` kept. Raises StoreError if its bytes are not those of its name."""
        key = f"{folder}/{name}.json"
        data = self.objects.get(key)
        if hash_bytes(data) != name:
            raise StoreError(f"{key} is damaged: its content does not match its name")
        return dict(json.loads(data))

    def json(self, key: str) -> dict[str, Any]:
        return dict(json.loads(self.objects.get(key)))

    def recipe(self, name: str) -> Recipe:
        return Recipe(**self.named("recipes", name))

    def recipe_on(self, state: State, day: date) -> Recipe:
        """The recipe in force on a day. Raises StoreError where none was ever recorded."""
        name = state.recipe_on(day)
        if name is None:
            raise StoreError(f"the log names no recipe for {day}; run the day first")
        return self.recipe(name)


def open_store(config: Config) -> Store:
    """The store that a configuration names; its folder is made if it is missing."""
    return _opened(config.store_path())


@cache
def _opened(path: Path) -> Store:
    # One per process, so that each call replays only what is new in the log.
    objects = Objects(path)
    return Store(objects, Log(objects))
