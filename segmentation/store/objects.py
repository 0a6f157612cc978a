"""The only way to the store's bytes: write once, read, list. Nothing is overwritten in place."""

from collections.abc import Iterable
from pathlib import Path

import obstore
import pyarrow as pa
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore

from segmentation.errors import StoreError
from segmentation.store.content import hash_bytes, parquet_bytes, read_parquet

ADVICE = "; run `segmentation verify`"


class Objects:
    """Objects by key ("log/00000000000042.json") in a local folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            self._store = LocalStore(root, mkdir=True, automatic_cleanup=False)
        except Exception as error:
            raise StoreError(f"the store's folder {root} cannot be made or opened: {error}") from error

    def put(self, key: str, data: bytes) -> bool:
        """Write the object unless there is one: True if this call wrote it. Atomic: nobody ever reads half of it."""
        try:
            obstore.put(self._store, key, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        except (OSError, obstore.exceptions.BaseError) as error:
            raise StoreError(f"cannot write {self.root / key}: {error}") from error
        return True

    def find(self, key: str) -> bytes | None:
        """The object's bytes, or None if there is none."""
        try:
            return bytes(obstore.get(self._store, key).bytes())
        except FileNotFoundError:
            return None

    def get(self, key: str) -> bytes:
        """The object's bytes. Raises StoreError if there is none."""
        data = self.find(key)
        if data is None:
            raise StoreError(f"the store {self.root} lacks {key}{ADVICE}")
        return data

    def exists(self, key: str) -> bool:
        try:
            obstore.head(self._store, key)
        except FileNotFoundError:
            return False
        return True

    def keys(self, prefix: str, after: str | None = None) -> list[str]:
        """The keys below a folder, sorted; with `after`, only those behind it."""
        return sorted(meta["path"] for batch in obstore.list(self._store, prefix, offset=after) for meta in batch)

    def delete(self, keys: Iterable[str]) -> None:
        obstore.delete(self._store, list(keys))

    def path(self, key: str) -> str:
        """Where an engine that reads files by itself finds the object."""
        return str(self.root / key)

    def put_table(self, folder: str, table: pa.Table) -> str:
        """Write a table as `<folder>/<hash of its bytes>.parquet` and return the key."""
        data = parquet_bytes(table)
        key = f"{folder}/{hash_bytes(data)}.parquet"
        self.put(key, data)
        return key

    def table(self, key: str) -> pa.Table:
        return read_parquet(self.get(key))
