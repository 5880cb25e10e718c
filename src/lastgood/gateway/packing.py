"""Messages to bytes that are the same whenever the meaning is."""

from __future__ import annotations

import hashlib
from typing import Any

from envoy.config.core.v3 import extension_pb2
from google.protobuf import any_pb2

from lastgood.gateway.snapshot import Resource


def packed(message: Any) -> any_pb2.Any:
    """The message in an Any; maps are written in the order of their keys."""
    box = any_pb2.Any()
    box.Pack(message, deterministic=True)
    return box


def resource(name: str, message: Any) -> Resource:
    """A resource whose version is the hash of its bytes."""
    body: bytes = message.SerializeToString(deterministic=True)
    return Resource(name, hashlib.sha256(body).hexdigest()[:32], body)


def extension(name: str, message: Any) -> Resource:
    """A filter configuration that goes out as a resource of its own (ECDS)."""
    return resource(name, extension_pb2.TypedExtensionConfig(name=name, typed_config=packed(message)))


def short(*texts: str) -> str:
    """16 hex characters that stand for the texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
