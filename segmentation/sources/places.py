"""Which files, or which days of a database, a source names now."""

import glob
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from segmentation.config import Config
from segmentation.errors import ConfigError, DataContractError
from segmentation.source_settings import Source
from segmentation.sources import queries, samples
from segmentation.sources.source_file import CSV, DATABASE, JSON_LINES, PARQUET, QUERY, SourceFile

ENDINGS = {
    ".csv": CSV,
    ".csv.gz": CSV,
    ".tsv": CSV,
    ".tsv.gz": CSV,
    ".txt": CSV,
    ".txt.gz": CSV,
    ".parquet": PARQUET,
    ".jsonl": JSON_LINES,
    ".jsonl.gz": JSON_LINES,
    ".ndjson": JSON_LINES,
    ".ndjson.gz": JSON_LINES,
}
DATE = "{date}"


def find(source: Source, table: str, config: Config, days: Sequence[date]) -> list[SourceFile]:
    """What the source names now, sorted by name. `days`: of a source that has its rows by day, the days looked for.

    Raises DataContractError when there are no files, or one is of no known kind; ConfigError when one is outside of
    [project] data_folders.
    """
    if source.connection:
        return [SourceFile(source.connection, DATABASE, (), day, sql=source.sql) for day in days]
    if source.sample:
        return [SourceFile(source.sample, source.sample, samples.paths(source.sample))]
    if source.sql:
        paths = tuple(_allowed(config, path) for path in queries.paths(source.sql, table, config.root))
        return [SourceFile(f"[sources.{table}] sql", QUERY, paths, root=config.root, sql=source.sql)]
    names = {name: day for pattern in source.paths for name, day in _names(pattern, table, config.root, days)}
    return [
        SourceFile(Path(name).as_posix(), _kind(name, table), (_allowed(config, config.root / name),), names[name])
        for name in sorted(names)
    ]


def by_day(source: Source) -> bool:
    """Whether the source has its rows by day, so that it is asked for days."""
    return bool(source.connection) or any(DATE in pattern for pattern in source.paths)


def _names(pattern: str, table: str, root: Path, days: Sequence[date]) -> Iterator[tuple[str, date | None]]:
    """The files of a pattern, each with the day that its name says, if it does."""
    if DATE in pattern:  # a day may have no file
        for day in days:
            for name in _matches(pattern.replace(DATE, day.isoformat()), root):
                yield name, day
        return
    found = _matches(pattern, root)
    if not found:
        what = "no file matches" if glob.has_magic(pattern) else "there is no file"
        raise DataContractError(f"{what} {pattern!r} in {root}; check [sources.{table}] path")
    for name in found:
        yield name, None


def _matches(pattern: str, root: Path) -> list[str]:
    return [name for name in glob.glob(pattern, root_dir=root, recursive=True) if (root / name).is_file()]


def _kind(name: str, table: str) -> str:
    for ending, kind in ENDINGS.items():
        if name.lower().endswith(ending):
            return kind
    raise DataContractError(
        f"{name} is neither CSV (.csv, .tsv, .txt) nor Parquet (.parquet) nor JSON lines (.jsonl, .ndjson, also .gz); "
        f"let [sources.{table}] path name only such files"
    )


def _allowed(config: Config, path: Path) -> Path:
    folders = config.project.data_folders
    if folders:
        real = path.resolve()
        allowed = [config.root.resolve(), *((config.root / folder).resolve() for folder in folders)]
        if not any(real.is_relative_to(folder) for folder in allowed):
            raise ConfigError(
                f"{path} is outside of [project] data_folders ({', '.join(folders)}); name its folder there, or move the file"
            )
    return path
