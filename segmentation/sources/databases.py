"""placeholder"""

from pathlib import Path
from collections.abc import Mapping
import duckdb
from segmentation.sources.source_file import SourceFile


def paths(sql: str, root: Path) -> tuple[Path, ...]:
    raise NotImplementedError


def records(
    session: duckdb.DuckDBPyConnection, file: SourceFile, sql: str, table: str, columns: Mapping[str, str]
) -> tuple[str, tuple[str, ...]]:
    raise NotImplementedError
