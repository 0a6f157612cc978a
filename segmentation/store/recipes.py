"""Which recipe is in force: a changed configuration becomes a record of the log and restates nothing by itself."""

from datetime import date
from typing import Any

from segmentation.config import Config, Recipe
from segmentation.dates import ONE_DAY
from segmentation.errors import ConfigError
from segmentation.store.content import seal, unseal
from segmentation.store.state import State
from segmentation.store.store import Store

OWNER = "project/owner.json"


def record_recipe(config: Config, store: Store) -> State:
    """Make the configuration's recipe the one in force from the day after the latest published day.

    Does nothing when it is in force already. Raises ConfigError for a recipe that would need a new model, or whose time
    zone cuts the days of the history differently.
    """
    _claim(config, store)
    recipe = config.recipe()
    store.put_named("recipes", recipe.document())

    def decide(state: State) -> dict[str, Any] | None:
        from_date = max(state.published) + ONE_DAY if state.published else None
        in_force = state.recipe_on(from_date or date.max)
        if in_force == recipe.hash:
            return None
        if in_force and from_date:
            refuse_new_model(recipe, store.recipe(in_force))
        return {"kind": "recipe", "hash": recipe.hash, "from_date": from_date.isoformat() if from_date else None}

    return store.log.append(decide)


def _claim(config: Config, store: Store) -> None:
    """Make the store this project's, unless it has one. Raises ConfigError when it is another project's."""
    if config.name is not None and store.objects.find(OWNER) is None:
        store.objects.put(OWNER, seal(_claimed(config)))
    check_owner(config, store)


def _claimed(config: Config) -> dict[str, Any]:
    return {"project": config.name, "sources": config.places()}


def check_owner(config: Config, store: Store) -> None:
    """Two shops in one store would take each other's rows for corrections.

    Raises ConfigError when the store is another project's: one of another name that reads other sources. (A project may be
    renamed, and its sources may move, one at a time.)
    """
    known = store.objects.find(OWNER)
    if config.name is None or known is None:
        return
    owner, claim = unseal(known, OWNER), _claimed(config)
    if all(owner[key] != claim[key] for key in claim):
        raise ConfigError(
            f"[store] url = {config.store.url!r}: the store is of the project {owner['project']!r}, and this is "
            f"{config.name!r}, which reads other sources; two in one would mix their rows. Give this one a store of its own; "
            f"if it is the same project, set [project] name = {owner['project']!r}"
        )


def refuse_new_model(recipe: Recipe, in_force: Recipe) -> None:
    if recipe.timezone != in_force.timezone:
        raise ConfigError(
            f"[project] timezone = {recipe.timezone!r}: the history was cut into days in {in_force.timezone!r}, and a day "
            "cannot end at two midnights; keep the time zone, or start a new store"
        )
    for section in recipe.needs_new_model(in_force):
        old, new = (getattr(which, section).model_dump() for which in (in_force, recipe))
        changes = ", ".join(f"{key} from {old[key]!r} to {new[key]!r}" for key in old if old[key] != new[key])
        raise ConfigError(
            f"[{section}] changed ({changes}): the segments of the history were made with the old setting, and this "
            "version cannot carry them over to a new model; restore the setting, or start a new store"
        )
