"""Single values: what people write, and that it comes back unchanged from a release."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from lastgood.config import values


@given(st.integers(0, 3650 * 86_400_000))
def test_a_duration_comes_back_as_it_was(milliseconds):
    seconds = milliseconds / 1000
    assert values.parse_duration(values.format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("2s", 2.0), ("250ms", 0.25), ("1h30m", 5400.0), ("1.5s", 1.5), ("0s", 0.0)]
)
def test_durations(text, seconds):
    assert values.parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["2", "", "s", "2 s", "1h 30m", "-1s", "0.1ms", "9999999d", "٣s", 5, None, True, "1s" * 40]
)
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="duration"):
        values.parse_duration(text)


@pytest.mark.parametrize("text", ["5", "101%", "-1%", "%", 5, None, "٣%"])
def test_what_is_no_percentage(text):
    with pytest.raises(ValueError, match="percentage"):
        values.parse_percent(text)


@given(st.integers(0, 100_000_000))
def test_a_percentage_comes_back_as_it_was(millionths):
    adapter = TypeAdapter(values.Percent)
    share = values.parse_percent(f"{millionths / 1_000_000:.6f}%")
    assert adapter.validate_python(adapter.dump_python(share, mode="json")) == share


@pytest.mark.parametrize("kind", [values.Port, values.Whole])
@pytest.mark.parametrize("value", [True, "80", 80.0, None])
def test_a_number_is_a_number(kind, value):
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize("value", ["yes", "on", 1, "true"])
def test_a_flag_is_true_or_false(value):
    with pytest.raises(ValidationError):
        TypeAdapter(values.Flag).validate_python(value)


def test_an_address_is_its_network_and_a_number_is_none():
    adapter = TypeAdapter(values.Network)
    assert adapter.validate_python("10.1.2.3/8") == "10.0.0.0/8"
    assert adapter.validate_python("::1") == "::1/128"
    with pytest.raises(ValidationError):
        adapter.validate_python(3)
