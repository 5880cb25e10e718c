"""Every problem at once, each at the line of the node that is wrong, in words that need no manual."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lastgood.config.policies import Section
from lastgood.config.values import SecretText
from lastgood.config.words import say

WRONG = """\
project: shop
gatway: {}
routes: []
gateway:
  lisners: {}
  listeners:
    web: { port: "8080" }
    far: { port: 80800 }
  policies:
    fair:
      rate_limit:
        requests: true
        per: mnute
    customers: { jwt: { issuer: 1, jwks: 3, audience: x } }
    partners:
      api_key:
        header: x-api-key
        clients:
          acme: hunter2-is-no-reference
          Bad Name: secret:x
    none: {}
    two: { ip: { allow: [x, 3] }, cors: { origins: shop } }
  routes:
    - name: one
      match:
        methods: [GET, get]
        headers:
          x: { exat: 1 }
      to: legacy
      timeout: 5
    - to:
        - to: legacy
          weight: x
    - name: three
      to: legacy
      respond: { status: 200 }
      public: yes
    - name: four
      timeout_s: 2s
      to: 3
    - word
upstreams:
  legacy:
    endpoints:
      - 127.0.0.1:1
      - nowhere
bake: { for: 0s }
"""
EXPECTED = [
    (2, "unknown key `gatway`", "did you mean `gateway`?"),
    (3, "unknown key `routes`", "it belongs under gateway: `gateway.routes`"),
    (5, "gateway: unknown key `lisners`", "did you mean `listeners`?"),
    (7, "listener web: port: a whole number is needed, not '8080'", None),
    (8, "listener far: port: a number of at most 65535 is needed, not 80800", None),
    (12, "policy fair: rate_limit.requests: a whole number is needed, not true", None),
    (
        13,
        "one of second, minute, hour, day or a duration such as 2s, 250ms or 1h30m is needed, not 'mnute'",
        "`minute`",
    ),
    (14, "policy customers: jwt.issuer: text is needed, not 1", None),
    (14, "policy customers: jwt.jwks: text or a mapping (key: value) is needed, not 3", None),
    (14, "policy customers: jwt: unknown key `audience`", "did you mean `audiences`?"),
    (19, "policy partners: api_key.clients.acme: a reference to a secret such as secret:NAME", None),
    (20, "policy partners: api_key.clients: a name of small letters", None),
    (21, "policy none: exactly one of jwt, api_key, ip, cors, rate_limit is needed, found none", None),
    (22, "policy two: exactly one of jwt, api_key, ip, cors, rate_limit is needed, found ip, cors", None),
    (22, "policy two: ip.allow[1]: an address or network such as 10.0.0.0/8 is needed, not 'x'", None),
    (22, "policy two: ip.allow[2]: an address or network such as 10.0.0.0/8 is needed, not 3", None),
    (26, "route one: match.methods[2]: one of GET, HEAD", "did you mean `GET`?"),
    (28, "route one: match.headers.x: unknown key `exat`", "did you mean `exact`?"),
    (30, "route one: timeout: a duration such as 2s, 250ms or 1h30m is needed, not 5", None),
    (31, "route 2: `name` is missing", None),
    (33, "route 2: to[1].weight: a whole number is needed, not 'x'", None),
    (34, "route three: exactly one of to, redirect, respond is needed, found to, respond", None),
    (37, "route three: public: true or false is needed, not 'yes'", None),
    (39, "route four: unknown key `timeout_s`", "did you mean `timeout`?"),
    (40, "route four: to: text or a list is needed, not 3", None),
    (41, "route 5: a mapping (key: value) is needed, not 'word'", None),
    (46, "upstream legacy: endpoints[2]: an endpoint such as 127.0.0.1:9001", None),
    (47, "bake: for: a duration longer than 0s is needed, not '0s'", None),
]


def test_every_problem_is_found_at_its_line(problems):
    found = problems(WRONG)
    assert [problem.line for problem in found] == [line for line, _, _ in EXPECTED]
    for problem, (_, what, hint) in zip(found, EXPECTED, strict=True):
        assert what in problem.what
        assert hint is None or hint in problem.hint


def test_problems_of_several_files_come_together(problems, good):
    found = problems({"lastgood.yaml": good + "x: 1\n", "lastgood.d/b.yaml": "y: 1\n", "lastgood.d/a.yaml": "\0"})
    assert [(p.file, p.line) for p in found] == [
        ("lastgood.d/a.yaml", 1),
        ("lastgood.d/b.yaml", 1),
        ("lastgood.yaml", 15),
    ]


def test_no_message_speaks_of_our_insides_or_tells_a_secret(problems):
    text = "\n".join(map(str, problems(WRONG)))
    for word in ("Input should", "pydantic", "validator", "str_type", "tuple", "NoneType", "hunter2"):
        assert word not in text


@pytest.mark.parametrize(
    "section",
    [
        "databases: { main: { url: 'postgresql://u:hunter2@h/d', migrations: m } }",
        "databases: { main: { url: 7777777, migrations: m } }",
        "services: { s: { source: s, command: [x], environment: { KEY: [hunter2] } } }",
        "gateway: { listeners: { web: { port: 1, tls: { cert: /x, key: hunter2 } } } }",
        "gateway: { policies: { p: { api_key: { header: x, clients: { a: 7777777 } } } } }",
        "gateway: { policies: { p: { api_key: { header: x, clients: hunter2 } } } }",
        "gateway: { routes: [ { name: r, to: x, headers: { request: { set: { authorization: [hunter2] } } } } ] }",
    ],
)
def test_what_may_be_a_secret_is_not_shown(section, problems):
    found = problems(f"project: p\n{section}\n")
    assert any(problem.line == 2 for problem in found)
    assert not any(secret in str(found) for secret in ("hunter2", "7777777"))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("- a\n", "a configuration is a mapping"),
        ("word\n", "a configuration is a mapping"),
        ("gateway: 3\n", "gateway: a mapping"),
        ("project: p\ngateway: { routes: {} }\n", "routes: a list is needed"),
        ("project: p\nupstreams: []\n", "upstreams: a mapping"),
        ("upstreams: {}\n", "`project` is missing"),
        ("project: 5\n", "project: a name"),
        ("project: Shop\n", "project: a name"),
    ],
)
def test_whole_files_that_are_wrong(text, what, problems):
    assert any(what in problem.what for problem in problems(text))


def test_no_main_file(problems):
    (problem,) = problems({"lastgood.d/a.yaml": "upstreams: {}\n"})
    assert (problem.file, problem.line) == ("lastgood.yaml", 0)
    assert "lastgood init" in problem.hint


def test_an_empty_file_beside_it_is_a_warning(problems, good):
    (problem,) = problems({"lastgood.yaml": good, "lastgood.d/a.yaml": "# later\n"})
    assert problem.severity == "warning"


def test_a_file_that_nobody_would_read_is_refused(problems, good):
    (problem,) = problems({"lastgood.yaml": good, "lastgood.d/a.yml": "upstreams: {}\n"})
    assert problem.hint == "rename it"


def test_an_unreadable_file_does_not_make_others_wrong(problems, good):
    main = good.replace("to: legacy", "to: elsewhere").replace("[office, fair]", "[office, fair, other]")
    found = problems({"lastgood.yaml": main, "lastgood.d/a.yaml": "a: b: c"})
    assert [problem.file for problem in found] == ["lastgood.d/a.yaml"]


def test_a_reference_to_a_secret_is_hidden_under_every_key():
    """A section that comes later need not be added to a list to keep its secrets."""

    class Later(Section):
        password: SecretText

    with pytest.raises(ValidationError) as caught:
        Later.model_validate({"password": "hunter2"})
    errors = caught.value.errors()
    (problem,) = say(errors, Later, {"password": "hunter2"}, file="f", place=(1, None), subject="later")
    assert "a reference to a secret" in problem.what
    assert "hunter2" not in str(problem)
