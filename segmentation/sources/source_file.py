"""One thing to read, whatever it is."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

CSV, PARQUET, JSON_LINES, QUERY, DATABASE = "csv", "parquet", "json lines", "query", "database"


@dataclass(frozen=True)
class SourceFile:
    """`name` is what people know it by (relative to the configuration), `paths` are its files.

    `day`: whose rows it is to hold, if its name (a {date} in the path) or the question to a database says so. Of a database
    `name` is the connection, and there are no files. `sql`: the query to the database, or over files; these it names from
    the folder `root`.
    """

    name: str
    kind: str
    paths: tuple[Path, ...]
    day: date | None = None
    root: Path = Path(".")
    sql: str | None = None
