"""One day's report: a single HTML file that needs no network."""

import json
from collections.abc import Callable
from datetime import date
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from segmentation.errors import ConfigError, SegmentationError
from segmentation.monitor import palette, portraits, sections
from segmentation.monitor.markup import Markup, join, tag
from segmentation.monitor.page import Page
from segmentation.store.store import Store
from segmentation.texts import Texts

# In the order in which a reader asks.
SECTIONS = {
    "headline": sections.headline,
    "portraits": portraits.portraits,
    "sizes": sections.sizes,
    "migrations": sections.migrations,
    "moves": sections.moves,
    "actions": portraits.actions,
    "rules": portraits.rules,
    "profile": sections.profile,
    "quality": sections.quality,
}
HTML_LANGUAGES = {"en": "en", "zh": "zh-Hans"}


def write_report(store: Store, day: date, path: Path | str, lang: str = "en") -> None:
    """Write the day's report to `path`. The store is only read.

    It holds what was known as of the day: later days of the history are not in it, except through the digest.
    Raises SegmentationError if the day is not published or the file cannot be written, ConfigError for an unknown language
    or a folder that is not there: it is not made, as it may be mistyped.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ConfigError(f"cannot write the report {path}: there is no folder {path.parent}; make it first")
    text = render(store, day, Texts(lang))
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SegmentationError(f"cannot write the report {path}: {error.strerror}") from error


def render(store: Store, day: date, texts: Texts) -> str:
    """The report as HTML. Raises SegmentationError if the day is not published."""
    from plotly.offline import get_plotlyjs

    page = Page.of(store, day, texts)
    written = [
        tag(
            "section",
            tag("h2", texts(f"{name}.title"), id=f"{name}-title"),
            write(page),
            id=name,
            aria_labelledby=f"{name}-title",
        )
        for name, write in _sections(page).items()
    ]
    style = Template(_part("report.css"))
    return Template(_part("report.html")).substitute(
        lang=HTML_LANGUAGES[texts.lang],
        title=join(f"{texts('page.title')} · {day}"),
        style=style.substitute(light=palette.style(palette.LIGHT), dark=palette.style(palette.DARK)),
        no_script=join(texts("page.no_script")),
        body="\n".join([_header(page), *written, _footer(page)]),
        figures=_json(page.figures),
        plotly=get_plotlyjs(),
        script=_part("report.js"),
    )


def _sections(page: Page) -> dict[str, Callable[[Page], Markup]]:
    """Those that there is something for: a day of an earlier version has no profiles, rules and actions."""
    lacking = () if page.profiles else ("portraits", "actions", "rules")
    return {name: write for name, write in SECTIONS.items() if name not in lacking}


def _part(name: str) -> str:
    return files("segmentation.monitor").joinpath(name).read_text(encoding="utf-8")


def _json(value: Any) -> str:
    # No "<" at all, so that no text of the data can end the script element.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _header(page: Page) -> Markup:
    texts = page.texts
    links = [tag("li", tag("a", texts(f"{name}.title"), href=f"#{name}")) for name in _sections(page)]
    return tag(
        "header",
        tag("p", texts("page.title"), class_="kicker"),
        tag("h1", texts.day(page.day, "long")),
        tag("p", sections.decision(page), class_="lead"),
        tag("nav", tag("ul", links), aria_label=texts("page.contents")),
    )


def _footer(page: Page) -> Markup:
    texts = page.texts
    state = page.store.state()
    published = state.published[page.day]
    entries = {
        "date": page.day.isoformat(),
        "parent": published.parent.isoformat() if published.parent else texts("footer.no_parent"),
        "snapshot": published.snapshot_id,
        "digest": state.digest(),
    }
    items = [
        tag("div", tag("dt", texts(f"footer.{key}")), tag("dd", value, class_=key)) for key, value in entries.items()
    ]
    return tag(
        "footer",
        tag("h2", texts("footer.title"), id="footer-title"),
        tag("dl", items),
        tag("p", texts("footer.note")),
        aria_labelledby="footer-title",
    )
