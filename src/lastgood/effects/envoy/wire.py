"""Delta discovery messages: protobuf on the socket, plain values in the conversation."""

from __future__ import annotations

from envoy.service.discovery.v3 import discovery_pb2

from lastgood.gateway.messages import Request, Response

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
METHOD = "DeltaAggregatedResources"


def decode(data: bytes) -> tuple[str, Request]:
    """The node id (only the first request of a stream has one) and the request."""
    message = discovery_pb2.DeltaDiscoveryRequest.FromString(data)
    request = Request(
        message.type_url,
        tuple(message.resource_names_subscribe),
        tuple(message.resource_names_unsubscribe),
        dict(message.initial_resource_versions),
        message.response_nonce,
        message.error_detail.message if message.HasField("error_detail") else None,
    )
    return message.node.id, request


def encode(response: Response) -> bytes:
    """The bytes of a DeltaDiscoveryResponse."""
    message = discovery_pb2.DeltaDiscoveryResponse(
        type_url=response.type_url, nonce=response.nonce, system_version_info=response.version
    )
    message.removed_resources.extend(response.removed)
    for resource in response.resources:
        added = message.resources.add()
        added.name = resource.name
        added.version = resource.version
        added.resource.type_url = response.type_url
        added.resource.value = resource.body
    data: bytes = message.SerializeToString()
    return data
