"""What bounds a Worker whose limits are said: its turn, the size of a body, the time for an answer.

workerd bounds none of these by itself. The module around the Worker (``worker_entry``) calls it by way of this, and
gives the answers that a Python function gives (``limits.py``): 413, 503, 504 and 500 with the same words. What is said
comes with ``LASTGOOD_WORKER``, so that one bundle serves whatever the numbers are.
"""

from __future__ import annotations

SETTINGS = "LASTGOOD_WORKER"
"""The variable, JSON: ``timeout_s`` (with the wait for a turn), ``concurrency``, ``body_bytes``."""
PROMISES = ("handle_cross_request_promise_resolution", "2024-10-14")
"""The flag that lets the end of one request give its turn to another, and the date from which it need not be said."""

# `waitUntil` keeps what waits alive when its client goes: a turn that is never given back would be lost for ever.
GATE = """\
let limits, free;
const queue = [];
const plain = (status, what) => new Response(what + "\\n", { status, headers: { "content-type": "text/plain" } });
const LATE = "the function took too long";
const LINGER_MS = 2000;
const answers = {
  large: () => plain(413, `a body may have ${limits.body_bytes} bytes`),
  late: () => plain(504, LATE),
  failed: () => plain(500, "the function failed"),
};

function give() {
  const next = queue.shift();
  if (next) next(); else free++;
}

async function turn(over) {
  if (free > 0) { free--; return true; }
  let go;
  const mine = new Promise((resolve) => { go = resolve; });
  queue.push(go);
  if (!await Promise.race([mine, over])) return true;
  const at = queue.indexOf(go);
  if (at < 0) give(); else queue.splice(at, 1);
  return false;
}

function counted(request, sent, exceeded) {
  let size = 0;
  const body = new ReadableStream({
    async pull(to) {
      const { done, value } = await sent.read();
      if (done) return to.close();
      size += value.byteLength;
      if (size <= limits.body_bytes) return to.enqueue(value);
      exceeded();
      to.error(new Error("the body is too large"));
    },
  });
  return new Request(request, { body });
}

// Who is still sending when the connection closes would lose the answer with it.
async function linger(sent) {
  const all = (async () => { while (!(await sent.read()).done); })().catch(() => {});
  await Promise.race([all, new Promise((resolve) => setTimeout(resolve, LINGER_MS))]);
}

async function gated(request, env, ctx, call) {
  if (!limits) { limits = JSON.parse(env.LASTGOOD_WORKER); free = limits.concurrency; }
  const length = request.headers.get("content-length");
  if (length !== null && Number(length) > limits.body_bytes) {
    await linger(request.body.getReader());
    return answers.large();
  }
  const say = (what) => console.error(`${request.method} ${new URL(request.url).pathname}: ${what}`);
  let why, leave, end, hasTurn = false;
  const over = new Promise((resolve) => { leave = (reason) => resolve(why ??= reason); });
  const stop = new AbortController();
  ctx.waitUntil(new Promise((resolve) => { end = resolve; }));
  const timer = setTimeout(() => {
    say(`${hasTurn ? "not answered" : "no turn"} within ${limits.timeout_s} s`);
    leave("late");
    stop.abort();
  }, limits.timeout_s * 1000);
  const done = () => {
    clearTimeout(timer);
    if (hasTurn) give();
    hasTurn = false;
    end();
  };
  hasTurn = await turn(over);
  if (!hasTurn) { done(); return plain(503, LATE); }
  const sent = request.body !== null && length === null ? request.body.getReader() : null;
  try {
    const asked = sent ? counted(request, sent, () => leave("large")) : request;
    const answer = await Promise.race([call(asked), over]);
    if (why) throw why;
    if (answer.body === null || answer.webSocket) { done(); return answer; }
    const through = new IdentityTransformStream();
    const watched = new Response(through.readable, answer);
    watched.headers.delete("content-length");  // it may be that of an encoded body, or wrong: nobody counted it here
    answer.body.pipeTo(through.writable, { signal: stop.signal }).then(done, done);
    return watched;
  } catch (error) {
    if (why === "large") await linger(sent);
    done();
    if (!why) say(`the function raised\\n${error?.stack ?? error}`);
    return answers[why ?? "failed"]();
  }
}
"""
