"""Names and sentences in words: each claim is true of its segment and of no other."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from languages import entries

from segmentation.features.catalogue import CATALOGUE
from segmentation.monitor.names import MOST_CLAIMS, Claim, claims, sentence, words
from segmentation.texts import LANGUAGES, Texts

MEANS = st.dictionaries(
    st.sampled_from("abcde"),
    st.fixed_dictionaries({name: st.none() | st.integers(0, 6).map(float) for name in list(CATALOGUE)[:8]}),
    min_size=1,
)


def rows(means):
    return [
        {"segment_id": segment, "name": name, "value": "", "mean": mean, "effect": 0.5, "users": 10}
        for segment, found in means.items()
        for name, mean in found.items()
    ]


@given(MEANS)
def test_every_claim_is_true_of_the_segment_and_false_of_all_others(means):
    for segment in means:
        made = claims(rows(means), segment, ("frequency+",), 10)
        assert len(made) <= MOST_CLAIMS
        for claim in made:
            values = {other: found[claim.feature] for other, found in means.items() if found[claim.feature] is not None}

            def place(value, values=values):
                return 1 + sum(other > value for other in values.values())

            true = [other for other, value in values.items() if place(value) == claim.place]
            assert true == [segment]
            assert (claim.segments, claim.value) == (len(values), means[segment][claim.feature])
            assert len(values) == len(means)  # known of all of which it is said
            if claim.feature == "frequency":  # high, by the name
                assert 2 * claim.place <= len(values) + 1
            told, beside = (text.strip(" ,)") for text in figures(claim))
            assert told != beside


def figures(claim):
    """The two numbers of a claim as they are told."""
    said = sentence([replace(claim, place=1)], Texts("en"))
    return said[said.rindex("(") + 1 :].split("the next")


def test_figures_are_told_with_as_many_digits_as_tell_them_apart():
    assert figures(Claim("frequency", 1, 2, 0.0123, 0.0121)) == ["0.0123, ", " 0.0121)."]
    assert figures(Claim("discount_share", 1, 2, 0.01301, 0.01299)) == ["1.301%, ", " 1.299%)."]
    assert figures(Claim("monetary", 1, 2, 1_234.25, 1_234.5)) == ["1,234.25, ", " 1,234.50)."]


def test_the_features_of_the_name_and_what_is_at_an_end_come_first():
    means = {
        "a": {"frequency": 5.0, "monetary": 20.0, "recency": 3.0},
        "b": {"frequency": 9.0, "monetary": 10.0, "recency": 2.0},
        "c": {"frequency": 1.0, "monetary": 30.0, "recency": 1.0},
    }
    found = claims(rows(means), "a", ("frequency+", "recency+"), 10)
    assert [(claim.feature, claim.place) for claim in found] == [("recency", 1), ("frequency", 2), ("monetary", 2)]
    told = sentence(found, Texts("en"))
    assert told == (
        "Of all segments it has the highest “Recency” (3.00, the next 2.00), place 2 of 3 in “Frequency” (5.00), "
        "place 2 of 3 in “Spend” (20.0)."
    )
    assert sentence(found, Texts("zh")).startswith("在所有分群中：“最近购买距今”最高（3.00，其次 2.00）")
    assert sentence([], Texts("en")) == ""
    assert claims(rows(means), "a", ("frequency+",), users=21) == []  # known of 10 of 21


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_feature_has_words_for_both_ends(lang):
    keys = {key.removeprefix("names.") for key in entries(lang) if key.startswith("names.")}
    frame = {"comma", "everyone", "numbered", "sentence", "highest", "lowest", "place"}
    assert keys == frame | {f"{name}_{end}" for name in CATALOGUE for end in ("high", "low")}
    said = [words((f"{name}{end}",), Texts(lang)) for name in CATALOGUE for end in "+-"]
    assert len(set(said)) == len(said)


def test_a_name_in_both_languages():
    assert words(("frequency+", "monetary+", "views+"), Texts("en")) == "Loyal, high spend, browses much"
    assert words(("frequency+", "monetary+", "views+"), Texts("zh")) == "忠诚 · 高消费 · 常浏览"
    assert words(("frequency+", "#2"), Texts("en")) == "Loyal (2)"
    assert words((), Texts("zh")) == "所有用户"
