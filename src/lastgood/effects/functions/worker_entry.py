"""The module around a Worker with cron triggers, or with limits: workerd has no way to raise an event, or to bound one.

A request that proves itself with the version's token becomes ``scheduled(controller, env, ctx)``; every other one goes
to the Worker's own ``fetch``. A Worker is an object of handlers or a class of ``WorkerEntrypoint``: both are known.
"""

from __future__ import annotations

import json

from lastgood.effects.functions.cron_request import AT_HEADER, SCHEDULE_HEADER, TOKEN_HEADER
from lastgood.effects.functions.worker_gate import GATE
from lastgood.effects.functions.wrangler import TOKEN

_ENTRY = """\
import * as module from %(module)s;
export * from %(module)s;
const theirs = module.default;
const isOurs = (request, env) => env.%(token)s && request.headers.get("%(token_header)s") === env.%(token)s;
async function run(request, scheduled) {
  if (!scheduled) return new Response("it has no scheduled handler", { status: 501 });
  const cron = request.headers.get("%(schedule_header)s");
  const scheduledTime = Number(request.headers.get("%(at_header)s"));
  await scheduled({ type: "scheduled", cron, scheduledTime, noRetry() {} });
  return new Response(null, { status: 204 });
}
%(gate)s
const none = async () => new Response("it has no fetch handler", { status: 501 });
const wrapped = typeof theirs === "function"
  ? class extends theirs {
      async fetch(request) {
        if (isOurs(request, this.env)) return run(request, super.scheduled && ((event) => super.scheduled(event)));
        return gated(request, this.env, this.ctx, (asked) => super.fetch ? super.fetch(asked) : none());
      }
    }
  : Object.assign(Object.create(theirs), {
      async fetch(request, env, ctx) {
        if (isOurs(request, env)) {
          return run(request, theirs.scheduled && ((event) => theirs.scheduled(event, env, ctx)));
        }
        return gated(request, env, ctx, async (asked) => theirs.fetch ? theirs.fetch(asked, env, ctx) : none());
      },
    });
export default wrapped;
"""


_OPEN = "const gated = (request, env, ctx, call) => call(request);"


def entry(module: str, *, limited: bool) -> str:
    """The text of the module; ``module`` is the Worker's own, as it is imported from there."""
    return _ENTRY % {
        "gate": GATE if limited else _OPEN,
        "module": json.dumps(module),
        "token": TOKEN,
        "token_header": TOKEN_HEADER,
        "schedule_header": SCHEDULE_HEADER,
        "at_header": AT_HEADER,
    }
