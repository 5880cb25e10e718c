export type Route = [URLPattern, (request: Request, match: URLPatternResult) => Response | Promise<Response>];
export function route(routes: Route[], request: Request): Response | Promise<Response> {
  for (const [pattern, handler] of routes) { const m = pattern.exec(request.url); if (m) return handler(request, m); }
  return new Response("none", { status: 404 });
}
