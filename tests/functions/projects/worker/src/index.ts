import { createHash } from "node:crypto";
import { route, Route } from "./router";
interface Env { GREETING: string; LIMITS: { a: number[] }; TOKEN?: string }
let waited = 0;
export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const routes: Route[] = [
      [new URLPattern({ pathname: "/price/:id" }), (_, m) => Response.json({ id: m.pathname.groups.id, greeting: env.GREETING, a: env.LIMITS.a, token: env.TOKEN })],
      [new URLPattern({ pathname: "/digest" }), async () => {
        const d = await crypto.subtle.digest("SHA-256", new TextEncoder().encode("x"));
        return new Response([...new Uint8Array(d)].map(b => b.toString(16).padStart(2, "0")).join("") + createHash("sha256").update("x").digest("hex"));
      }],
      [new URLPattern({ pathname: "/stream" }), () => {
        const { readable, writable } = new TransformStream();
        const w = writable.getWriter();
        ctx.waitUntil((async () => { for (let i = 0; i < 3; i++) { await w.write(new TextEncoder().encode(`part ${i}\n`)); } await w.close(); waited++; })());
        return new Response(readable);
      }],
      [new URLPattern({ pathname: "/waited" }), () => new Response(String(waited))],
      [new URLPattern({ pathname: "/raise" }), () => { throw new Error("no such price"); }],
    ];
    return route(routes, request);
  },
};
