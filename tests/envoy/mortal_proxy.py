"""Plays a proxy that dies of any response with the word "deadly" in it: run as a program in place of Envoy."""

import json
import os
import queue
import signal
import sys

import grpc
from envoy.service.discovery.v3 import discovery_pb2

from lastgood.effects.envoy.wire import METHOD, SERVICE
from lastgood.gateway.snapshot import CLUSTER, LISTENER, RUNTIME, SCOPE

if __name__ == "__main__":
    with open(sys.argv[2]) as file:
        cluster = json.load(file)["static_resources"]["clusters"][0]
    address = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["pipe"]["path"]
    requests: queue.Queue[bytes] = queue.Queue()
    for url in (RUNTIME, CLUSTER, LISTENER, SCOPE):
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=url)
        request.node.id = "preflight"
        if url == RUNTIME:
            request.resource_names_subscribe.append("lastgood")
        requests.put(request.SerializeToString())
    stream = grpc.insecure_channel(f"unix:{address}").stream_stream(f"/{SERVICE}/{METHOD}")(iter(requests.get, None))
    for data in stream:
        if b"deadly" in data:
            os.kill(os.getpid(), signal.SIGKILL)
        response = discovery_pb2.DeltaDiscoveryResponse.FromString(data)
        answer = discovery_pb2.DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        requests.put(answer.SerializeToString())
