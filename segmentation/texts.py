"""The words that users see, one TOML file per language, and how the language writes numbers and dates."""

import re
import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from segmentation.errors import ConfigError

LANGUAGES = ("en", "zh")
NOTHING = "–"
MINUS = "−"


class Texts:
    """`texts("headline.users_since", change="+3")` is the text of that key with its places filled."""

    def __init__(self, lang: str) -> None:
        """Raises ConfigError for a language that there is no file of."""
        if lang not in LANGUAGES:
            raise ConfigError(f"there are no texts in {lang!r}; the languages are {', '.join(LANGUAGES)}")
        self.lang = lang
        self._entries = _entries(lang)

    def __call__(self, key: str, **places: str) -> str:
        return str(self._entries[key]).format(**{name: _Place(text) for name, text in places.items()})

    def known(self, section: str, name: str, kind: str = "") -> str:
        """The text for a name that software or the team made (a feature, an action); the name itself if there is none."""
        key = f"{section}.{kind}{name}"
        return self(key) if key in self._entries else name.replace("_", " ")

    def reworded(self, section: str, english: str) -> str:
        """A text that software keeps in English, as this language says it: as it is if it is none of the section's."""
        for key, text in _entries("en").items():
            if key.startswith(f"{section}."):
                found = re.fullmatch(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(text)), english)
                if found:
                    return self(key, **found.groupdict())
        return english

    def day(self, day: date, form: str = "short") -> str:
        months, weekdays = self._entries["date.months"], self._entries["date.weekdays"]
        places = {"day": str(day.day), "month": months[day.month - 1], "year": str(day.year)}
        return self(f"date.{form}", weekday=weekdays[day.weekday()], **places)


class _Place(str):
    """What fills a place of a text: itself, or of two words, `{users:user|users}`, the one that goes with it."""

    def __format__(self, words: str) -> str:
        one, _, more = words.partition("|")
        return str(self) if not words else one if self == "1" else more


@cache
def _entries(lang: str) -> Mapping[str, Any]:
    document = tomllib.loads(files("segmentation").joinpath(f"texts.{lang}.toml").read_text(encoding="utf-8"))
    return {f"{section}.{key}": value for section, keys in document.items() for key, value in keys.items()}


def whole(value: float | None) -> str:
    """1234 → 1,234."""
    return NOTHING if value is None else f"{value:,.0f}".replace("-", MINUS)


def signed(value: float) -> str:
    """12 → +12, −12 → −12, 0 → ±0."""
    return f"{value:+,.0f}".replace("-", MINUS) if value else "±0"


def share(value: float | None) -> str:
    """0.0512 → 5.1%."""
    return NOTHING if value is None else f"{value:.1%}"


def compact(value: float | None) -> str:
    """Three significant figures or all before the point, for a table cell: 0.0347, 3.47, 34.7, 3,472; from a million 3.47M."""
    if value is None:
        return NOTHING
    size = abs(value)
    if size >= 1_000_000_000:
        text = f"{value / 1_000_000_000:,.2f}G"
    elif size >= 1_000_000:
        text = f"{value / 1_000_000:,.2f}M"
    else:
        text = f"{value:,.{0 if size >= 100 else 1 if size >= 10 else 2}f}"
    return text.replace("-", MINUS)


def counted(number: int, what: str) -> str:
    """So many of something, in the plural unless it is one."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def observed(figures: dict[str, Any], texts: Texts) -> str:
    """What a warning saw: its figures by name."""
    return texts("page.comma").join(
        f"{texts.known('observed', name)} {compact(value) if isinstance(value, int | float) else value}"
        for name, value in figures.items()
    )
