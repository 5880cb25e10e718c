"""How requests come to one of two releases other than by lot: a preview, a header, a version key, a cookie of ours."""

from __future__ import annotations

from dataclasses import replace

from lastgood.config.model import Function, Preview, Service
from lastgood.gateway.labels import Door, Label
from lastgood.gateway.names import PREVIEW_HEADER, SIDE_HEADER, open_key, stay_key
from lastgood.gateway.outline import Outline

NEW_S = 86_400
"""Seconds for which a browser remembers that it met the new release; longer than most deployments."""


def opened(base: Label, candidate: Label, outline: Outline) -> tuple[Label, Label]:
    """Both labels with their doors, as the candidate's configuration asks for them."""
    number, gateway = candidate.release, outline.configuration.gateway
    moving: tuple[Service | Function, ...] = (*outline.services.values(), *outline.functions.values())
    canaries = [made for each in moving if (made := each.strategy.canary) is not None]
    doors = _preview(gateway.preview)
    doors += [Door(made.by.header.lower(), made.by.value, open_key(number)) for made in canaries if made.by]
    stays: list[Door] = []
    keys = tuple(sorted({made.version_key.lower() for made in canaries if made.version_key}))
    if keys:
        doors.append(Door(SIDE_HEADER, "new", open_key(number), drawn=True))
        stays.append(Door(SIDE_HEADER, "old", stay_key(number), drawn=True))
    sticky = [made for made in canaries if made.sticky]
    if sticky:
        doors.append(_drawn(number, "new"))
        stays.append(_drawn(number, "old"))
        hold_s = max(1, round(max(made.hold_s for made in sticky)))
        # Who was drawn to stay is drawn again after a hold, or the share would never grow among those who come back.
        base = replace(base, cookie=_cookie(number, "old", hold_s))
        candidate = replace(candidate, cookie=_cookie(number, "new", NEW_S))
    candidate = replace(candidate, doors=tuple(dict.fromkeys(doors)), version_keys=keys)
    return replace(base, doors=tuple(stays)), candidate


def _preview(preview: Preview | None) -> list[Door]:
    """Open from the moment it is loaded; the host's door is a header that the host script sets."""
    if preview is None:
        return []
    header = [Door(preview.header.lower(), preview.value, None)] if preview.header else []
    return [*header, *([Door(PREVIEW_HEADER, None, None)] if preview.host else [])]


def _drawn(number: int, side: str) -> Door:
    """Envoy matches the whole header: other cookies may stand before and behind."""
    value = rf"(.*;\s*)?{_name(number)}={side}(\s*;.*)?"
    return Door("cookie", value, (open_key if side == "new" else stay_key)(number), drawn=True)


def _cookie(number: int, side: str, max_age_s: int) -> str:
    return f"{_name(number)}={side}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax"


def _name(number: int) -> str:
    """Of the release on trial: what was drawn for one says nothing about the next."""
    return f"lastgood-r{number}"
