"""What is wrong between sections."""

from __future__ import annotations

import json

import pytest

KEY = {"kty": "OKP", "crv": "Ed25519", "x": "abc"}


def _keys(*keys) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


HEAD = """\
project: shop
upstreams: { legacy: { endpoints: ["127.0.0.1:1"] } }
gateway:
  listeners:
    web: { port: 8080 }
    safe: { port: 8443, use: [office] }
  policies:
    office: { ip: { allow: [10.0.0.0/8] } }
    guests: { ip: { deny: [10.0.0.0/8] } }
    fair: { rate_limit: { requests: 1, per: second } }
    each: { rate_limit: { requests: 1, per: second, key: api_client } }
    partners: { api_key: { header: x, clients: { a: secret:a } } }
    clients: { api_key: { query: x, clients: { a: secret:a } } }
    page: { cors: { origins: ["*"] } }
    shop: { cors: { origins: [https://shop.example] } }
  routes:
    - { name: uses, match: { host: z }, to: legacy, use: [guests, fair, each, partners, page] }
    - { name: uses2, match: { host: y }, to: legacy, use: [office, clients, shop] }
"""


@pytest.mark.parametrize(
    ("route", "what"),
    [
        ("to: legcy, public: true, use: []", "there is no upstream or service legcy"),
        ("to: [{to: legacy, weight: 1}, {to: nope, weight: 1}], use: [office]", "there is no upstream or service nope"),
        ("to: legacy, use: [ofice]", "there is no policy ofice"),
        ("to: legacy, use: [office], listeners: [wed]", "there is no listener wed"),
        ("to: legacy", "nothing says who may come"),
        ("to: legacy, use: []", "nothing says who may come"),
        ("to: legacy, use: [fair]", "nothing says who may come"),
        ("to: legacy, use: [fair], listeners: [safe]", "nothing says who may come"),
        ("to: legacy, public: true, use: [office]", "it is public and has the security policy office"),
        ("to: legacy, public: true, listeners: safe", "it is public and has the security policy office (the default"),
        ("to: legacy, use: [partners, clients]", "at most one policy with api_key, here are partners, clients"),
        ("to: legacy, use: [office, page, shop]", "at most one policy with cors"),
        ("to: legacy, use: [office, each]", "counts by api_client"),
        ("to: legacy, use: [office, office]", "office stands twice"),
        ("to: [{to: legacy, weight: 0}], use: [office]", "add up to 0"),
        ("to: [{to: legacy, weight: 1}, {to: legacy, weight: 2}], use: [office]", "stands twice"),
        ("respond: {status: 200}, use: [office], websocket: true", "websocket needs `to`"),
        ("respond: {status: 200}, use: [office], rewrite: {path: /}", "rewrite needs `to`"),
        ("redirect: {host: a}, use: [office], retries: {}", "retries needs `to`"),
        ("redirect: {status: 302}, use: [office]", "leads to where the request is"),
        ("to: legacy, use: [office], rewrite: {prefix: /}, match: {path: /a}", "rewrite.prefix needs a path that ends"),
        ("to: legacy, use: [office], rewrite: {prefix: /}, match: {path: '/{a}/*'}", "rewrite.prefix needs a path"),
        ("to: legacy, use: [office], rewrite: {prefix: /, path: /}", "prefix or path, not both"),
        ("to: legacy, use: [office], rewrite: {host: 'a b'}", "is no host name"),
        ("to: legacy, use: [office], match: {path: '/a*'}", "only at the end"),
        ("to: legacy, use: [office], match: {path: '/{id'}", "whole segment"),
        ("to: legacy, use: [office], match: {host: 'a.*'}", "is no host"),
        ("to: legacy, use: [office], match: {host: 'a:80'}", "is no host"),
        ("to: legacy, use: [office], match: {host: 'http://a'}", "is no host"),
        ("to: legacy, use: [office], match: {host: []}", "never matches"),
        ("to: legacy, use: [office], match: {host: [a, A]}", "stands twice"),
        ("to: legacy, use: [office], match: {headers: {x: {regex: '('}}}", "regular expression is broken"),
        ("to: legacy, use: [office], match: {headers: {x: {regex: '(?=a)'}}}", "RE2 does not know"),
        ("to: legacy, use: [office], match: {query: {x: {regex: '(a)\\1'}}}", "RE2 does not know"),
        ("to: legacy, use: [office], match: {headers: {x: '1', X: '2'}}", "stands twice"),
        ("to: legacy, use: [office], match: {headers: {host: a}}", "match.host"),
        ("to: legacy, use: [office], headers: {request: {set: {Host: a}}}", "belongs to the gateway"),
        ('to: legacy, use: [office], headers: {response: {add: {x: "a\\nb"}}}', "control character"),
        ("to: legacy, use: [office], retries: {on: [5x]}", "knows no '5x'"),
        ("to: legacy, use: [office], timeout: 1s, retries: {per_try_timeout: 2s}", "longer than the whole request"),
    ],
)
def test_a_route_that_is_wrong(route, what, problems):
    found = problems(f"{HEAD}    - {{ name: wrong, {route} }}\n")
    assert [(problem.line, problem.severity) for problem in found] == [(19, "error")]
    assert found[0].what.startswith("route wrong: ")
    assert what in found[0].what


@pytest.mark.parametrize(("path", "hint"), [("/{a}/b", "use rewrite.path"), ("/a", "use rewrite.path, or match /a/*")])
def test_what_a_prefix_is_rewritten_with_instead(path, hint, problems):
    (found,) = problems(
        f"{HEAD}    - {{ name: wrong, to: legacy, use: [office], rewrite: {{prefix: /}}, match: {{path: '{path}'}} }}\n"
    )
    assert found.hint == hint


@pytest.mark.parametrize(
    "route",
    [
        "to: legacy, public: true, use: []",
        "to: legacy, public: true, use: [fair]",
        "to: legacy, public: true, listeners: web",
        "to: legacy, listeners: safe",
        "to: legacy, use: [office, partners, each, page]",
        "redirect: {prefix: /new}, public: true, use: [], match: {path: /old/*}",
        "to: legacy, use: [office], rewrite: {prefix: /}, match: {path: /a/*}",
        "to: legacy, use: [office], match: {host: '*.Shop.example', path: '/a/{id}/*', query: {q: {regex: 'a[*+]+'}}}",
    ],
)
def test_a_route_that_is_right(route, problems):
    assert problems(f"{HEAD}    - {{ name: right, {route} }}\n") == ()


def test_a_problem_points_at_the_word_and_not_at_the_route(problems):
    text = HEAD + "    - name: r\n      to:\n        - to: legacy\n          weight: 1\n"
    text += "        - to: legcy\n          weight: 1\n"
    text += "      use:\n        - office\n        - far\n"
    found = problems(text)
    assert [(p.line, p.hint) for p in found] == [(23, "did you mean `legacy`?"), (27, "did you mean `fair`?")]


def test_a_name_that_is_wrong_inside_is_no_unknown_name(problems, good):
    found = problems(good.replace("127.0.0.1:9001", "x").replace("10.0.0.0/8", "x"))
    assert len(found) == 2
    assert not any("there is no" in problem.what for problem in found)


def test_an_unused_policy_is_a_warning_and_a_default_uses_one(problems, good):
    (warning,) = problems(good.replace("[office, fair]", "[office]"))
    assert (warning.severity, warning.line, warning.what) == ("warning", 7, "no route uses the policy fair")
    assert problems(good.replace("[office, fair]", "[office]").replace("port: 8080", "port: 8080, use: fair")) == ()


@pytest.mark.parametrize(
    ("listeners", "clash"),
    [
        ("a: {port: 1}, b: {port: 2}", False),
        ("a: {port: 1}, b: {port: 1}", True),
        ("a: {port: 1}, b: {port: 1, address: 127.0.0.2}", False),
        ("a: {port: 1}, b: {port: 1, address: 0.0.0.0}", True),
    ],
)
def test_ports(listeners, clash, problems):
    found = problems(f"project: p\ngateway: {{ listeners: {{ {listeners} }} }}\n")
    assert ["is taken by listener a (lastgood.yaml:2)" in problem.what for problem in found] == [True] * clash


def test_an_address_that_is_none(problems):
    (problem,) = problems("project: p\ngateway: { listeners: { a: { port: 1, address: localhost } } }\n")
    assert "0.0.0.0" in problem.what


@pytest.mark.parametrize(
    ("preview", "what"),
    [
        ("{}", "needs a header or a host"),
        ("{ host: preview, value: x }", "name the header too"),
        ("{ host: preview.shop.example }", "one label of a host name such as preview"),
        ("{ host: Preview }", "one label of a host name such as preview"),
        ("{ host: preview, header: x-preview, value: x }", None),
        ("{ host: preview }", None),
    ],
)
def test_a_preview_is_asked_for_by_something(preview, what, problems):
    found = problems(f"project: p\ngateway:\n  listeners: {{ a: {{ port: 1 }} }}\n  preview: {preview}\n")
    assert [(problem.line, what in problem.what) for problem in found] == ([(4, True)] if what else [])


def test_routes_without_a_listener(problems):
    (problem,) = problems("project: p\ngateway: { routes: [{name: r, public: true, respond: {status: 200}}] }\n")
    assert "no listener" in problem.what


def test_secrets_must_lead_somewhere_and_are_asked_for_once(problems):
    text = """\
project: p
gateway:
  listeners:
    web: { port: 1, tls: { cert: /c, key: "file:/k" } }
databases: { main: { url: "env:URL", migrations: m }, lite: { url: "sqlite:///x", migrations: m } }
services: { s: { source: s, command: [x], environment: { A: "secret:gone", B: "secret:here", C: text } } }
"""
    asked = []

    def resolves(reference: str) -> bool:
        asked.append(reference)
        return reference == "secret:here"

    found = problems(text, {"m": None, "s": None}, secrets=resolves)
    assert [(p.line, p.hint) for p in found] == [
        (4, "is the file there, and may we read it?"),
        (5, "set the variable URL"),
        (6, "lastgood secret set gone"),
    ]
    assert sorted(asked) == ["env:URL", "file:/k", "secret:gone", "secret:here"]


def test_two_clients_with_one_key(problems):
    text = HEAD.replace("clients: { a: secret:a } } }", "clients: { a: secret:a, b: secret:a } } }", 1)
    assert any("clients a and b have the same key" in problem.what for problem in problems(text))


@pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/", "https://*.shop.example", "ftp://x"])
def test_an_origin_that_never_matches(origin, problems):
    (problem,) = problems(HEAD.replace("https://shop.example", f"'{origin}'"))
    assert "an origin such as" in problem.what


# --- files of the repository -------------------------------------------------------------------------------------


JWT = """\
project: shop
gateway:
  listeners: { web: { port: 1, use: [who] } }
  policies: { who: { jwt: { issuer: i, jwks: %s } } }
"""


@pytest.mark.parametrize(
    ("jwks", "repository", "what"),
    [
        ("repo:k.json", {}, "is not in this revision"),
        ("repo:../k.json", {"../k.json": b""}, "does not stay inside"),
        ("repo:/etc/passwd", {"/etc/passwd": b""}, "is no path of the repository"),
        ("repo:a/./k.json", {"a/./k.json": b""}, "does not stay inside"),
        ("repo:.git/config", {".git/config": b""}, "does not stay inside"),
        ("repo:k.json", {"k.json": "/etc/passwd"}, "symbolic link"),
        ("repo:k", {"k": None}, "a file is needed"),
        ("repo:k.json", {"k.json": b"x" * (1024 * 1024 + 1)}, "1 MiB"),
        ("repo:k.json", {"k.json": b"\xff"}, "not UTF-8"),
        ("k.json", {"k.json": _keys(KEY)}, "repo:keys/jwks.json"),
        ("{}", {}, "a JSON Web Key Set is needed"),
        ("{keys: []}", {}, "no keys"),
        ("{keys: [{kty: RSA, n: abc}]}", {}, "the member e is missing"),
        ("{keys: [{kty: EC, crv: P-1, x: a, y: b}]}", {}, "crv must be one of"),
        ("{keys: [{kty: X}]}", {}, "kty must be"),
        ("{keys: [{kty: oct, k: hunter2}]}", {}, "private or shared key"),
        ("{keys: [{kty: oct}]}", {}, "private or shared key"),
        ("{keys: [{kty: OKP, crv: Ed25519, x: a, d: hunter2}]}", {}, "private or shared key"),
        ("{keys: [{kty: OKP, crv: Ed25519, x: a, kid: k}, {kty: OKP, crv: Ed25519, x: b, kid: k}]}", {}, "two keys"),
    ],
)
def test_a_key_set_that_is_wrong(jwks, repository, what, problems):
    found = [p for p in problems(JWT % jwks, repository) if p.severity == "error"]
    assert [problem.line for problem in found] == [4]
    assert what in found[0].what
    assert "hunter2" not in str(found)


def test_broken_json_is_shown_where_it_breaks(problems):
    (problem,) = problems(JWT % "repo:k.json", {"k.json": b'{\n "keys": [\n}'})
    assert (problem.file, problem.line) == ("k.json", 3)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"1" * 10_000, b'{"keys": [3]}', b"null"])
def test_json_of_any_kind_is_only_a_problem(content, problems):
    assert len(problems(JWT % "repo:k.json", {"k.json": content})) == 1


def test_a_key_set_becomes_an_entry_with_its_text(read):
    text = _keys(KEY)
    configuration = read(JWT % "repo:./k.json", {"k.json": text}).configuration
    assert configuration.files == {"k.json": text.decode()}


@pytest.mark.parametrize(
    ("repository", "what"),
    [
        ({"m": None}, ["service s: the folder s is not in this revision"]),
        ({"s": b"", "m": None}, ["service s: s is a file, a folder is needed"]),
        ({"s": None}, ["database d: the folder m is not in this revision"]),
    ],
)
def test_folders_must_be_there(repository, what, problems):
    text = (
        "project: p\nservices: {s: {source: s/, command: [x]}}\ndatabases: {d: {url: 'sqlite:///x', migrations: ./m}}\n"
    )
    assert [problem.what for problem in problems(text, repository)] == what


# --- ties and shadows ----------------------------------------------------------------------------------------------


def _pair(problems, one: str, two: str):
    head = HEAD.replace("safe: { port: 8443, use: [office] }", "safe: { port: 8443 }")
    routes = f"    - {{ name: b, to: legacy, use: [office], {one} }}\n"
    routes += f"    - {{ name: a, to: legacy, use: [office], {two} }}\n"
    return [(p.line, p.what) for p in problems(head + routes)]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("match: {path: /a}", "match: {path: /a}"),
        ("match: {path: '/a/{x}'}", "match: {path: '/a/{y}'}"),
        ("match: {host: [A, b]}", "match: {host: [c, a]}"),
        ("match: {methods: [GET, POST]}", "match: {methods: [POST, GET]}"),
        ("match: {methods: [GET, POST]}", "match: {methods: [GET, PUT]}"),
        ("match: {headers: {x: '1'}}", "match: {headers: {X: {exact: '1'}}}"),
        ("listeners: web", "match: {}"),
        ("listeners: web", "listeners: [web, safe]"),
    ],
)
def test_ties_are_refused_and_name_both_places(one, two, problems):
    ((line, what),) = _pair(problems, one, two)
    assert line == 20
    assert what.startswith("route a: it ties with route b (lastgood.yaml:19) on ")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("match: {path: /a}", "match: {path: /a/*}"),
        ("match: {path: /a}", "match: {path: '/{a}'}"),
        ("match: {host: a}", "match: {host: '*.a'}"),
        ("match: {methods: [GET]}", "match: {methods: [POST]}"),
        ("match: {methods: [GET]}", "match: {methods: [GET, POST]}"),
        ("match: {headers: {x: '1'}}", "match: {headers: {x: {present: true}}}"),
        ("match: {headers: {x: {prefix: a}}}", "match: {headers: {x: {prefix: ab}}}"),
        ("match: {query: {x: '1'}}", "match: {}"),
        ("listeners: web", "listeners: safe"),
    ],
)
def test_routes_that_share_a_host_and_do_not_tie(one, two, problems):
    assert _pair(problems, one, two) == []


def test_a_route_that_never_gets_a_request(problems):
    wide, never = "match: {headers: {x: {prefix: ''}}}", "match: {headers: {X: {regex: a+}}}"
    ((line, what),) = _pair(problems, wide, never)
    assert (line, what) == (20, "route a: it never gets a request on *, route b takes them all")
    assert _pair(problems, wide + ", listeners: web", never) == []
    assert _pair(problems, wide, "match: {headers: {X: {present: false}}}") == []
