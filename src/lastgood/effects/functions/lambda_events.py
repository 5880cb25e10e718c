"""Requests as a Lambda handler gets them, and its answers: API Gateway's HTTP API payload format 2.0. Pure.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

Scope = Mapping[str, Any]
"""An ASGI connection scope of type ``http``."""
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers, body."""
_TEXT = ("text/", "application/json", "application/javascript", "application/xml", "application/x-www-form-urlencoded")


class BadAnswer(Exception):
    """What a handler returned is no answer; the message says why."""


def event_of(scope: Scope, body: bytes, *, request_id: str, at: datetime) -> dict[str, Any]:
    """The event of a request. A body that is not text comes in base64, as do those with a content encoding."""
    headers, cookies = _headers(scope["headers"])
    query = scope["query_string"].decode("latin-1")
    raw_path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0]
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": unquote(raw_path),
        "rawQueryString": query,
        "headers": headers,
        "requestContext": _context(scope, headers, request_id, at),
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    parameters: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        parameters[key] = f"{parameters[key]},{value}" if key in parameters else value
    if parameters:
        event["queryStringParameters"] = parameters
    if body:
        text = _text(headers, body)
        event["isBase64Encoded"] = text is None
        event["body"] = base64.b64encode(body).decode() if text is None else text
    return event


def _headers(raw: Sequence[tuple[bytes, bytes]]) -> tuple[dict[str, str], list[str]]:
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key == "cookie":
            cookies += [part.strip() for part in text.split(";") if part.strip()]
        else:
            headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers, cookies


def _context(scope: Scope, headers: Mapping[str, str], request_id: str, at: datetime) -> dict[str, Any]:
    host = headers.get("host", "")
    client = scope.get("client") or ("127.0.0.1", 0)
    return {
        "accountId": "anonymous",
        "apiId": host.partition(".")[0].partition(":")[0],
        "domainName": host.partition(":")[0],
        "domainPrefix": host.partition(".")[0].partition(":")[0],
        "http": {
            "method": scope["method"],
            "path": scope["path"],
            "protocol": f"HTTP/{scope.get('http_version', '1.1')}",
            "sourceIp": headers.get("x-forwarded-for", client[0]).partition(",")[0].strip(),
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(at.timestamp() * 1000),
    }


def _text(headers: Mapping[str, str], body: bytes) -> str | None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    is_text = kind.startswith(_TEXT) or kind.endswith(("+json", "+xml"))
    if not is_text or "content-encoding" in headers:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def answer_of(result: Any) -> Answer:
    """What a handler returned, as an answer. Raises ``BadAnswer``.

    Without ``statusCode`` the whole value is the body of a 200 in JSON, as API Gateway infers it.
    """
    if not (isinstance(result, dict) and "statusCode" in result):
        try:
            content = json.dumps(result).encode()
        except (TypeError, ValueError) as error:
            raise BadAnswer(f"the handler returned what JSON cannot say: {error}") from None
        return 200, [(b"content-type", b"application/json")], content
    status = result["statusCode"]
    if isinstance(status, str) and status.isdigit():
        status = int(status)
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 599:
        raise BadAnswer(f"statusCode is {status!r}, a number from 100 to 599 is needed")
    return status, _answer_headers(result), _answer_body(result)


def _answer_headers(result: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    said, cookies = result.get("headers") or {}, result.get("cookies") or []
    if not isinstance(said, Mapping) or not isinstance(cookies, list):
        raise BadAnswer("headers is a mapping and cookies a list")
    made: list[tuple[bytes, bytes]] = []
    for name, value in [*said.items(), *(("set-cookie", cookie) for cookie in cookies)]:
        text = ("true" if value else "false") if isinstance(value, bool) else value
        if not isinstance(name, str) or not isinstance(text, str | int | float):
            raise BadAnswer(f"the header {name!r} is not a text")
        line = str(text)
        if any(mark in name + line for mark in "\r\n\0"):
            raise BadAnswer(f"the header {name!r} contains a line break")
        try:
            made.append((name.lower().encode("latin-1"), line.encode("latin-1")))
        except UnicodeEncodeError:
            raise BadAnswer(f"the header {name!r} holds characters that HTTP cannot carry") from None
    if not any(name == b"content-type" for name, _ in made):
        made.append((b"content-type", b"application/json"))
    return [(name, value) for name, value in made if name not in (b"content-length", b"transfer-encoding")]


def _answer_body(result: Mapping[str, Any]) -> bytes:
    body = result.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise BadAnswer(f"body is {type(body).__name__}, a text is needed (binary: base64, with isBase64Encoded)")
    if not result.get("isBase64Encoded"):
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise BadAnswer("body is not base64, though isBase64Encoded says so") from None
