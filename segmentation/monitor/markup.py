"""HTML from values: a text is escaped unless it is markup already, so that no name in the data can become part of a page."""

from collections.abc import Iterable
from html import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content = str | Markup | Iterable["Content"] | None


def tag(name: str, *content: Content, **attributes: str | int | None) -> Markup:
    """`tag("td", "a < b", class_="sum", colspan=2)` → `<td class="sum" colspan="2">a &lt; b</td>`.

    A name's last underscore falls away, the others become hyphens; an attribute that is None is left out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{given}>{join(content)}</{name}>")


def join(content: Content) -> Markup:
    """One piece of HTML from texts (escaped), markup (as it is), and lists of both; None is nothing."""
    if content is None:
        return Markup("")
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return Markup(escape(content))
    return Markup("".join(join(part) for part in content))
