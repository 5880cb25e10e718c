"""The first ``lastgood.yaml`` of a project: it works as it is, and says what may come next."""

from __future__ import annotations

_TEXT = """\
# What runs, and how requests get there. Commit this file: every commit of it is something to come back to.
# Check it with `lastgood check`; more files in lastgood.d/*.yaml are read as if they stood here.
project: {project}

gateway:
  listeners:
    web: {{ port: {port} }}                 # address: 0.0.0.0 to be reachable from other machines
  policies:
    fair: {{ rate_limit: {{ requests: 100, per: minute, key: client_ip }} }}
    # Security policies say who may come; a route has one, or says `public: true`.
    # customers: {{ jwt: {{ issuer: https://id.example, audiences: [{project}], jwks: repo:keys/jwks.json }} }}
    # office: {{ ip: {{ allow: [10.0.0.0/8] }} }}
  routes:
    - name: everything
      match: {{ path: /* }}                 # host: shop.example, methods: [GET, HEAD]
      to: app
      use: [fair]
      public: true
      timeout: 15s

upstreams:                              # what answers and is not run by Lastgood
  app: {{ endpoints: ["{upstream}"] }}

# services:                             # code that Lastgood runs itself, from this repository
#   api:
#     source: services/api
#     command: [python, server.py]      # gets PORT; SIGTERM means finish and leave
#     instances: 2

# databases:
#   main: {{ url: "secret:main_database_url", migrations: migrations/main }}

bake: {{ for: 10m }}                        # so long without a veto, and a release counts as good
"""


def starting_point(project: str, *, port: int = 8080, upstream: str = "127.0.0.1:9001") -> str:
    """The text of ``lastgood.yaml`` for a project with one listener and one upstream (``HOST:PORT``)."""
    return _TEXT.format(project=project, port=port, upstream=upstream)
