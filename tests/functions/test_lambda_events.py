"""Requests as events of payload format 2.0, and what handlers may return."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from lastgood.effects.functions.lambda_events import BadAnswer, answer_of, event_of

AT = datetime(2026, 3, 12, 19, 3, 58, tzinfo=UTC)


def event(body: bytes = b"", headers: list[tuple[bytes, bytes]] | None = None, **scope: Any) -> dict[str, Any]:
    made = {
        "method": "POST",
        "path": "/my/path",
        "raw_path": b"/my/path",
        "query_string": b"parameter1=value1&parameter1=value2&parameter2=value",
        "headers": [(b"Host", b"id.example.com"), (b"header1", b"value1"), (b"Header1", b"value2"), *(headers or [])],
        "client": ("192.0.2.1", 5),
        "http_version": "1.1",
        **scope,
    }
    return event_of(made, body, request_id="id", at=AT)


def test_the_documented_example() -> None:
    made = event(b"Hello from Lambda", [(b"cookie", b"cookie1; cookie2"), (b"content-type", b"text/plain")])
    assert made["version"] == "2.0"
    assert made["rawPath"] == "/my/path"
    assert made["rawQueryString"] == "parameter1=value1&parameter1=value2&parameter2=value"
    assert made["cookies"] == ["cookie1", "cookie2"]
    assert made["headers"]["header1"] == "value1,value2"
    assert "cookie" not in made["headers"]
    assert made["queryStringParameters"] == {"parameter1": "value1,value2", "parameter2": "value"}
    assert made["body"] == "Hello from Lambda"
    assert made["isBase64Encoded"] is False
    context = made["requestContext"]
    assert context["time"] == "12/Mar/2026:19:03:58 +0000"
    assert context["timeEpoch"] == int(AT.timestamp() * 1000)
    assert context["http"] == {
        "method": "POST",
        "path": "/my/path",
        "protocol": "HTTP/1.1",
        "sourceIp": "192.0.2.1",
        "userAgent": "",
    }
    assert context["domainPrefix"] == "id"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"image/png")],
        [(b"content-type", b"text/plain")],
        [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")],
    ],
)
def test_bodies_that_are_no_text_come_in_base64(headers: list[tuple[bytes, bytes]]) -> None:
    made = event(b"\x89PNG\xff", headers)
    assert made["isBase64Encoded"] is True
    assert base64.b64decode(made["body"]) == b"\x89PNG\xff"


def test_nothing_is_said_of_what_is_not_there() -> None:
    made = event(query_string=b"")
    assert not {"cookies", "queryStringParameters", "body"} & made.keys()


def test_a_whole_answer() -> None:
    status, headers, body = answer_of(
        {
            "statusCode": "201",
            "headers": {"X-Count": 3, "content-length": "99"},
            "cookies": ["a=1; Secure", "b=2"],
            "body": base64.b64encode(b"\x00\xff").decode(),
            "isBase64Encoded": True,
        }
    )
    assert (status, body) == (201, b"\x00\xff")
    assert headers == [
        (b"x-count", b"3"),
        (b"set-cookie", b"a=1; Secure"),
        (b"set-cookie", b"b=2"),
        (b"content-type", b"application/json"),
    ]


@pytest.mark.parametrize(("value", "body"), [("hello", b'"hello"'), ({"a": 1}, b'{"a": 1}'), (None, b"null")])
def test_without_a_status_all_of_it_is_json(value: object, body: bytes) -> None:
    assert answer_of(value) == (200, [(b"content-type", b"application/json")], body)


@pytest.mark.parametrize(
    "wrong",
    [
        {"statusCode": 42},
        {"statusCode": True},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "headers": ["a"]},
        {"statusCode": 200, "headers": {"a": "b\r\nset-cookie: c"}},
        {"statusCode": 200, "headers": {"a": "\u20ac"}},
        {"statusCode": 200, "cookies": "a=1"},
        {"statusCode": 200, "body": "%%", "isBase64Encoded": True},
        {1, 2},
    ],
)
def test_what_is_no_answer_is_refused_with_a_reason(wrong: object) -> None:
    with pytest.raises(BadAnswer, match=r"\w"):
        answer_of(wrong)
