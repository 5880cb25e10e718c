"""Names that more than one file of this room, or a reader of a proxy, has to know."""

from __future__ import annotations

SCOPE_HEADER = "x-lastgood-scope"
"""``LISTENER|HOST``: which table serves the request. Overwritten on arrival, removed before the upstream."""
KEYS_HEADER = "x-lastgood-keys"
"""Digest of the API key policy of the route. Removed on arrival and before the upstream."""
CLIENT_HEADER = "x-lastgood-client"
"""Who presented an API key. Removed on arrival; what the upstream sees comes from the key."""
ASKED = "-asked"
"""Ends the statistics' label (``r12-asked``) of requests that a header sent to a release."""
PREVIEW_HEADER = "x-lastgood-preview"
"""Says that the host asked for the new release. Removed on arrival; the upstream sees it, and may say so too."""
SIDE_HEADER = "x-lastgood-side"
"""``new`` or ``old``: where the value of a version key sends the request. Removed on arrival."""
RELEASE_HEADER = "x-lastgood-release"
ANSWER_PATH = "/.well-known/lastgood"
ANSWER_HEADER = "x-lastgood-answer"
"""From the filter that finds the release to the one that says it; overwritten on that path, nothing elsewhere."""

# Filters of the chain, in their order. Those marked ECDS are resources of their own.
ANSWER = "lastgood.answer"  # ECDS: finds the release that ANSWER_PATH tells, and the side of a version key
SAY = "lastgood.say"  # answers ANSWER_PATH with it
HOST = "lastgood.host"  # ECDS: finds the table of a host that is not written as configured
UPGRADE = "lastgood.upgrade"  # refuses WebSockets where the route found at last does not take them
HEADERS = "lastgood.headers"  # routes say here which keys must hold and which release they are
CORS = "lastgood.cors"
IP = "lastgood.ip"
JWT = "lastgood.jwt"  # ECDS
CLAIMS = "lastgood.claims"
KEYS = "lastgood.keys"  # ECDS
RELEASE = "lastgood.release"  # ECDS: the release header

LIMITS_METADATA = "lastgood.limits"
"""Metadata of a route: digest -> digest of each rate limit that counts its requests."""
CATCH_ALL = "lastgood.nothing-matches"
"""Name of the last route of every table: 404."""


def limit_filter(slot: int) -> str:
    """The filter, and its ECDS resource, of a rate limit slot."""
    return f"limit-{slot}"


def certificate(listener: str) -> str:
    """The SDS resource of a listener's certificate."""
    return f"cert-{listener}"


def scope_key(listener: str, host: str) -> str:
    """The name and key of a host's table; the host is a pattern as configured, in lower case."""
    return f"{listener}|{host}"


def runtime_key(release: int) -> str:
    """The runtime key that holds the share of requests on a release's generation of routes."""
    return f"lastgood.r{release}"


def open_key(release: int) -> str:
    """The runtime key that says whether a release may be asked for by a header: once it has a share, and no more."""
    return f"lastgood.open.r{release}"


def stay_key(release: int) -> str:
    """The runtime key that keeps requests where they were drawn: while a candidate has a share and not all of them."""
    return f"lastgood.stay.r{release}"


def release_name(release: int) -> str:
    """``r12``."""
    return f"r{release}"
