"""A digest that remembers is the digest of somebody who saw nothing before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lastgood.config.digests import Digests, digest_of_names

named = st.dictionaries(st.text(max_size=3), st.sampled_from(["a" * 64, "b" * 64]), max_size=12)


@given(st.lists(named, min_size=1, max_size=6))
def test_what_was_seen_before_changes_nothing(history: list[dict[str, str]]) -> None:
    digests = Digests()
    for one in history:
        assert digests.of(one) == digest_of_names(one)


@given(named, named)
def test_equal_content_has_one_digest_and_other_content_another(one: dict[str, str], other: dict[str, str]) -> None:
    assert (digest_of_names(one) == digest_of_names(other)) == (one == other)
    assert digest_of_names(one) == digest_of_names(dict(reversed(one.items())))


@given(named, named)
def test_what_moved_is_told(one: dict[str, str], other: dict[str, str]) -> None:
    digests = Digests()
    digests.of(one)
    moved = digests.moved(other)
    assert {**{name: made for name, made in one.items() if name not in moved.gone}, **moved.changed} == other
    assert all(one.get(name) != made for name, made in moved.changed.items())
