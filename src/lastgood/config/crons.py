"""When a function runs by the clock: five fields as in a crontab, in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field

from lastgood.config.policies import Section
from lastgood.config.values import SlashPath

_DAYS = re.compile(r"(?<![#\w/])([1-7])(?!\d)")


def check_schedule(text: str) -> str:
    """The same text with single spaces. Raises ``ValueError`` for what is no schedule, or never comes."""
    fields = text.split()
    if len(fields) != 5:
        raise ValueError("a schedule has five fields: minute, hour, day, month, day of the week")
    try:
        next(CronSim(" ".join(fields), datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        raise ValueError(f"{text!r} is no schedule as in a crontab, or its day never comes") from None
    return " ".join(fields)


Schedule = Annotated[str, AfterValidator(check_schedule)]


class Cron(Section):
    """A time at which a function is asked. A Lambda-style handler gets a scheduled event, an application a request."""

    schedule: Schedule = Field(description='five fields as in a crontab, in UTC, such as "*/15 * * * *"')
    path: SlashPath = Field(default="/", description="what an ASGI or WSGI application is asked for, with GET")


def of_worker(text: str) -> str:
    """A schedule of a Workers project, where the days of the week are counted from 1 for Sunday, as a crontab's.

    https://developers.cloudflare.com/workers/configuration/cron-triggers/. Raises ``ValueError``.
    """
    fields = text.split()
    if len(fields) == 5:
        fields[4] = _DAYS.sub(lambda found: str(int(found[1]) - 1), fields[4])
    return check_schedule(" ".join(fields))
