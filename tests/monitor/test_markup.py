from segmentation.monitor.markup import Markup, join, tag


def test_a_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "a < b & c", tag("b", '"')) == "<p>a &lt; b &amp; c<b>&quot;</b></p>"


def test_attributes_are_escaped_and_named_as_in_html() -> None:
    assert tag("td", "x", class_="sum", aria_label='"><script>', colspan=2, title=None) == (
        '<td class="sum" aria-label="&quot;&gt;&lt;script&gt;" colspan="2">x</td>'
    )


def test_lists_and_nothing_are_content_too() -> None:
    assert join(["a", None, [Markup("<br>"), ["<"]]]) == "a<br>&lt;"
