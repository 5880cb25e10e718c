"""What a product costs, with the value added tax of a country: a handler as AWS Lambda calls it."""

from __future__ import annotations

from typing import Any

NET_CENTS = {"tea": 450, "cup": 1200}
TAX_PERCENT = {"DE": 19, "AT": 20, "CH": 8}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """GET /price?product=tea&country=DE."""
    asked = event.get("queryStringParameters", {})
    net, tax = NET_CENTS.get(asked.get("product", "")), TAX_PERCENT.get(asked.get("country", "DE"))
    if net is None or tax is None:
        return {"statusCode": 404, "body": "no such product or country\n"}
    return {"cents": round(net * (100 + tax) / 100)}
