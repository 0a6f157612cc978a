from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import Database, running

from segmentation.store.objects import Objects


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / "store")


@pytest.fixture(scope="session")
def server() -> Iterator[Database]:
    with running() as database:
        yield database


@pytest.fixture
def database(server: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An empty database; the connection `shop` leads to it."""
    server.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    monkeypatch.setenv("SEGMENTATION_CONNECTION_SHOP", server.url)
    return server
