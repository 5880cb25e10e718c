"""No known value survives in text, however it is escaped."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lastgood.effects.redaction import REDACTED, Redactor

VALUE = 'p"ä/s\\s wörd+1'


def test_a_value_is_replaced_wherever_it_stands() -> None:
    assert Redactor(["hunter2"]).redact("hunter2 and xhunter2y") == "[redacted] and x[redacted]y"


def test_short_values_are_left_alone() -> None:
    assert Redactor(["abc", ""]).redact("abc abc") == "abc abc"


@pytest.mark.parametrize(
    "form",
    [json.dumps(VALUE), json.dumps(VALUE, ensure_ascii=False), quote(VALUE), quote(VALUE, safe=""), quote_plus(VALUE)],
)
def test_escaped_forms_are_values_too(form: str) -> None:
    redacted = Redactor([VALUE]).redact(f"<{form}>")
    assert REDACTED in redacted
    assert "rd" not in redacted.replace(REDACTED, "")


def test_lines_of_a_key_are_taken_out_one_by_one() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nshort\n-----END PRIVATE KEY-----\n"
    redacted = Redactor([key]).redact("line: MIIEvQIBADANBgkqhkiG9w0BAQ, short")
    assert redacted == "line: [redacted], short"
    assert Redactor([key]).redact(f"all: {key.strip()}.") == "all: [redacted]."


def test_values_that_overlap_go_together() -> None:
    assert Redactor(["abcdef", "defghi", "cdef"]).redact("xabcdefghix") == "x[redacted]x"
    assert Redactor(["abab"]).redact("xababab") == "x[redacted]"


def test_it_does_not_show_what_it_knows() -> None:
    assert "hunter2" not in repr(Redactor(["hunter2"]))


@given(st.lists(st.text("abcAB1-", min_size=4, max_size=8), max_size=4), st.text("abcAB1-", max_size=60))
def test_nothing_known_is_left_and_nothing_else_is_lost(values: list[str], text: str) -> None:
    redactor = Redactor(values)
    redacted = redactor.redact(text)
    assert all(value not in redacted for value in values)
    if not any(value in text for value in values):
        assert redacted == text
    assert redactor.redact(redacted) == redacted


@given(st.text(min_size=4), st.text())
def test_any_text(value: str, around: str) -> None:
    assume(value not in REDACTED and REDACTED not in value)
    redactor = Redactor([value])
    out = redactor.redact(around + "\x01" + value + "\x01" + around)
    assert f"\x01{value}\x01" not in out
