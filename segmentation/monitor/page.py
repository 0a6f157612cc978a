"""What the sections of the report have in common: the page that they are written from, and the pieces they are made of."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from segmentation.monitor import charts, palette, profiles, read_models
from segmentation.monitor.lives import born
from segmentation.monitor.markup import Content, Markup, join, tag
from segmentation.monitor.read_models import Record, is_move
from segmentation.store.snapshots import LAPSED, NEW, NOISE
from segmentation.store.store import Store
from segmentation.texts import NOTHING, Texts, share

MANY = 8  # segments from which on a table is set closer


@dataclass
class Page:
    """What the sections are written from, and the figures that they ask for on the way."""

    store: Store
    day: date
    texts: Texts
    segments: list[Record]
    profiles: list[Record]  # what each segment is, as `profiles.profiles` gives it; none of a day of an earlier version
    colours: dict[str, str]
    before: date | None  # the day that the last week is counted from; None on the first day
    cells: list[Record]  # the migrations from then to now
    figures: dict[str, charts.Figure] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, day: date, texts: Texts) -> "Page":
        """Raises SegmentationError if the day is not published."""
        segments = read_models.segments(store, day)
        served = read_models.is_served(store, store.state().published[day])
        described = profiles.profiles(store, day, texts.lang) if served else []
        colours = {**palette.colours(born(store, day)), NOISE: "var(--outside)"}
        before = read_models.week_before(store.state(), day)
        cells = read_models.migrations(store, before, day)["cells"] if before else []
        return cls(store, day, texts, segments, described, colours, before, cells)

    @property
    def users(self) -> int:
        """Everyone who is there, also in no segment."""
        return int(self.store.state().published[self.day].summary["users"])

    @property
    def noise(self) -> int:
        """Users who are in no segment."""
        return self.users - total(self.segments)

    @property
    def moves(self) -> list[Record]:
        return [cell for cell in self.cells if is_move(cell)]

    @property
    def came(self) -> int:
        return total(cell for cell in self.cells if cell["from_segment_id"] == NEW)

    @property
    def left(self) -> int:
        return total(cell for cell in self.cells if cell["to_segment_id"] == LAPSED)

    @property
    def stayers(self) -> int:
        """Users who were there on both days, wherever they were."""
        return total(self.cells) - self.came - self.left

    @property
    def share_moved(self) -> str:
        return share(total(self.moves) / self.stayers) if self.stayers else NOTHING

    @property
    def span(self) -> dict[str, str]:
        """Both days of the span, for a text."""
        return {"first": self.texts.day(self.before or self.day), "last": self.texts.day(self.day)}

    def figure(self, name: str, figure: charts.Figure, description: str, height: int) -> Markup:
        """The place of a chart, described for those who cannot see it; `height` in pixels."""
        self.figures[name] = figure
        return tag("div", class_="chart", id=name, role="img", aria_label=description, style=f"--height: {height}px")

    def named(self, segment_id: str) -> Markup:
        """A segment's (or state's) name with its colour; the style cuts it where there is no room, the title is whole."""
        if segment_id in (NEW, LAPSED, NOISE):
            name, title = self.texts(f"states.{segment_id}"), self.texts(f"states.{segment_id}_text")
        else:
            name = segment_id
            title = next((f"{one['name']} · {name}" for one in self.profiles if one["segment_id"] == segment_id), name)
        colour = self.colours.get(segment_id, "var(--outside)")
        return tag(
            "span", tag("i", class_="dot", style=f"--colour: {colour}"), tag("b", name), class_="name", title=title
        )


def swatch_of(page: Page, segment_id: str) -> Markup:
    """A segment's colour."""
    return tag("i", class_="dot", style=f"--colour: {page.colours.get(segment_id, 'var(--outside)')}")


def total(records: Iterable[Record], key: str = "users") -> int:
    return sum(record[key] for record in records)


def lead(text: str) -> Markup:
    return tag("p", text, class_="lead")


def empty(text: str) -> Markup:
    return tag("p", text, class_="empty")


def card(title: str, note: str | None, *content: Content) -> Markup:
    return tag("div", tag("h3", title), tag("p", note, class_="note") if note else None, content, class_="card")


def scrolled(name: str, caption: str, columns: int, head: Content, body: Content, foot: Content = None) -> Markup:
    """A table that scrolls by itself in a narrow window; its caption is for those who hear the page."""
    many = " many" if columns >= MANY else ""
    table = tag(
        "table",
        tag("caption", caption, class_="visually-hidden"),
        tag("thead", tag("tr", head)),
        tag("tbody", body),
        tag("tfoot", foot) if foot else None,
        class_=name + many,
    )
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=caption)


def keys(texts: Texts, section: str, names: Iterable[str]) -> Markup:
    items = [tag("li", swatch(name), texts(f"{section}.{name}")) for name in names]
    return tag("ul", items, class_="keys", aria_hidden="true")


def swatch(name: str) -> Markup:
    return tag("i", class_=f"swatch {name}")


def cause_bar(counts: dict[str, int]) -> Markup | None:
    """A bar of the causes' shares; it says nothing that is not in a text beside it."""
    parts = [tag("i", class_=cause, style=f"--part: {count}") for cause, count in counts.items() if count]
    return tag("span", parts, class_="causes", aria_hidden="true") if parts else None


def bar(part: float) -> Markup:
    drawn = tag("span", tag("i", style=f"--part: {max(part, 0):.3f}"), class_="bar", aria_hidden="true")
    return join([share(part), drawn])
