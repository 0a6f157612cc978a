"""What is wrong with a setting, in the words of the file that it is written in."""

from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from segmentation.errors import nearest


def explain(path: Path, model: type[BaseModel], problem: dict[str, Any]) -> str:
    """One of a ValidationError's problems: the file, the setting, what was found and what to do. model: of the whole file."""
    where = [str(part) for part in problem["loc"]]
    setting = f"[{'.'.join(where[:-1])}] {where[-1]}" if len(where) > 1 else f"[{where[0]}]" if where else "the file"
    if problem["type"] == "extra_forbidden":
        known = _known_keys(model, where[:-1])
        return f"{path}: {setting} is not a known setting; {nearest(where[-1], known)}"
    if problem["type"] == "missing":
        return f"{path}: {setting} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"].startswith(("less_than", "greater_than")):
        section = _section(model, where[:-1])
        meant = section.model_fields[where[-1]].description if section and where[-1] in section.model_fields else None
        message += f" ({meant})" if meant else ""
    if where and problem["type"] == "value_error" and isinstance(problem["input"], dict):
        # Settings that do not go together: all that the section holds would say too much.
        return f"{path}: [{'.'.join(where)}] {message}"
    if not where:
        return f"{path}: {message}"
    found = "" if where[-1] == "connection" else f" = {problem['input']!r}"  # it may be a URL, with a password
    return f"{path}: {setting}{found}: {message}"


def _known_keys(model: type[BaseModel], where: list[str]) -> list[str]:
    section = _section(model, where)
    return [name for name, field in section.model_fields.items() if not field.exclude] if section else []


def _section(model: type[BaseModel], where: list[str]) -> type[BaseModel] | None:
    for name in where:
        field = model.model_fields.get(name)
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()  # of `OrdersSource | None` the first
        found = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not found:
            return None
        model = found[0]
    return model
