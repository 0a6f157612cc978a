"""Whether the store is there or can be made, can be written to, and is this project's."""

import os
from collections.abc import Iterator
from datetime import date

from segmentation.checking.report import FAULT, OK, WARNING, Line, fault_lines
from segmentation.config import Config, Recipe
from segmentation.errors import ConfigError, SegmentationError, StoreError
from segmentation.store.recipes import check_owner, refuse_other_midnights
from segmentation.store.store import open_store
from segmentation.texts import counted

LITTLE_SPACE = 100 << 20
STORE_FOLDERS = {"log", "raw", "recipes", "checkpoints", "snapshots", "accepted", "cells", "quarantine", "fits"}


def store_lines(config: Config, recipe: Recipe) -> Iterator[Line]:
    try:
        path = config.store_path()
    except ConfigError as error:
        yield from fault_lines("store", error)
        return
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    if not there.is_dir():
        yield Line("store", FAULT, f"{there} is a file; set [store] url to a folder")
        return
    if not os.access(there, os.W_OK | os.X_OK) or os.statvfs(there).f_flag & os.ST_RDONLY:
        yield Line("store", FAULT, f"{there} cannot be written to; give yourself the right to, or set [store] url")
    elif (free := os.statvfs(there).f_bavail * os.statvfs(there).f_frsize) < LITTLE_SPACE:
        yield Line("store", WARNING, f"{there} has {free / 2**20:.0f} MB left")
    if there != path:
        yield Line("store", OK, f"{path} will be made by the first run")
        return
    entries = {entry.name for entry in path.iterdir()}
    if entries and not entries & STORE_FOLDERS:
        yield Line("store", WARNING, f"{path} holds other files and no history; is it the right folder in [store] url?")
        return
    try:
        yield from _history(config, recipe)
    except (SegmentationError, OSError) as error:
        yield from fault_lines("store", error)
    except (KeyError, TypeError, ValueError) as error:  # what an older or a newer version wrote otherwise
        words = f"{path} cannot be read by this version ({type(error).__name__}: {error}); run `segmentation verify`"
        yield from fault_lines("store", StoreError(words))


def _history(config: Config, recipe: Recipe) -> Iterator[Line]:
    store = open_store(config)
    check_owner(config, store)
    state = store.state()
    last = max(state.published, default=None)
    in_force = state.recipe_on(last or date.max)
    if in_force:
        before = store.recipe(in_force)
        if last:
            refuse_other_midnights(recipe, before)
        if state.accepted and not set(before.columns) & set(recipe.columns):
            raise ConfigError(
                f"[store] url = {config.store.url!r}: its history is made of {', '.join(before.columns)}, the configuration "
                f"has {', '.join(recipe.columns)}; is it another shop's? Set [store] url to a folder of its own"
            )
        gone = sorted(set(before.columns) - set(recipe.columns))
        if gone:
            yield Line(
                "store", WARNING, f"its history is made of {', '.join(gone)} as well, which is not configured any more"
            )
    published = (
        f"{counted(len(state.published), 'day')} published, the last is {last}" if last else "no day is published yet"
    )
    yield Line("store", OK, f"{config.store_path()}: {published}, {len(state.accepted):,} accepted")
