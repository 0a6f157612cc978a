"""The texts of a language as they are written, and which of them are asked for."""

import tomllib
from importlib.resources import files

from segmentation.texts import Texts


def entries(lang: str) -> dict[str, object]:
    document = tomllib.loads(files("segmentation").joinpath(f"texts.{lang}.toml").read_text(encoding="utf-8"))
    return {f"{section}.{key}": text for section, keys in document.items() for key, text in keys.items()}


class Recording(Texts):
    """Remembers which texts were asked for."""

    def __init__(self, lang: str) -> None:
        super().__init__(lang)
        self.asked: set[str] = set()

    def __call__(self, key: str, **values: str) -> str:
        self.asked.add(key)
        return super().__call__(key, **values)
