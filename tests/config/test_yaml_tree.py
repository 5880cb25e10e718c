"""YAML of people: what words mean, where things stand, and what is refused before it costs anything."""

from __future__ import annotations

import time

import pytest

from lastgood.config.yaml_tree import MAX_BYTES, line_at, read_tree


def _data(text: str):
    tree, problems = read_tree("f", text.encode())
    assert problems == ()
    return tree.data


def _problem(content: bytes):
    _, problems = read_tree("f", content)
    assert len(problems) == 1
    return problems[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("22:30", "22:30"),
        ("2001-01-01", "2001-01-01"),
        ("true", True),
        ("'true'", "true"),
        ("~", None),
        ("12", 12),
        ("'12'", "12"),
        ("010", 10),
        ("0x10", 16),
        ("1.5", 1.5),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        ("9" * 30, "9" * 30),
        ("!!str 5", "5"),
        ("<<", "<<"),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_plain_words_mean_what_yaml_1_2_says(text, value):
    assert _data(f"a: {text}") == {"a": value}


def test_keys_are_texts_whatever_they_look_like():
    assert _data("on: 1\n5: 2\ntrue: 3\n") == {"on": 1, "5": 2, "true": 3}


def test_every_node_knows_its_line():
    tree, _ = read_tree("f", b"a:\n  b: 1\n  c:\n    - x\n    - y: 2\n      z: 3\n")
    assert [line_at(tree.place, path) for path in [("a",), ("a", "b"), ("a", "c", 0), ("a", "c", 1, "z")]] == [
        1,
        2,
        4,
        6,
    ]
    assert line_at(tree.place, ("a", "c", 1, "missing")) == 5


def test_an_alias_is_what_it_stands_for():
    assert _data("a: &x {k: [1]}\nb: *x\n") == {"a": {"k": [1]}, "b": {"k": [1]}}


def test_every_duplicate_key_is_found_and_the_first_one_counts():
    tree, problems = read_tree("f", b"a: 1\nb: 2\na: 3\nc: {d: 1, d: 2}\n")
    assert [(p.line, p.what) for p in problems] == [
        (3, "`a` stands here twice, first in line 1"),
        (4, "`d` stands here twice, first in line 4"),
    ]
    assert tree.data == {"a": 1, "b": 2, "c": {"d": 1}}


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"a: b: c\n", 1, "not YAML"),
        (b"a: 1\nb:\n\t- c\n", 3, "not YAML"),
        (b"a: 'x\n", 2, "not YAML"),
        (b"a: \x07\n", 0, "control character"),
        (b"a: 1\nb: \xff\n", 2, "not UTF-8"),
        (b"\xff\xfea\x00", 1, "NUL"),
        (b"a: 1\nb: \0\n", 2, "NUL"),
        (b"a: 1\n---\nb: 2\n", 2, "one document"),
        (b"? [a]\n: b\n", 1, "key must be a text"),
        (b"a: *x\n", 1, "not defined"),
        (b"a: &x [*x]\n", 1, "inside of what it stands for"),
        (b"a: !!python/object:os.system x\n", 1, "tag"),
        (b"a: !secret x\n", 1, "tag"),
        (b"<<: {a: 1}\n", 1, "merge keys"),
        (b"a: " + b"[" * 60 + b"]" * 60, 1, "levels"),
    ],
)
def test_what_we_do_not_take_is_said_with_its_line(content, line, words):
    problem = _problem(content)
    assert (problem.line, words in problem.what) == (line, True)


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert read_tree("f", b"\xef\xbb\xbfa: 1")[0].data == {"a": 1}


def test_a_file_of_50_megabytes_is_refused_by_its_size():
    problem = _problem(b"a: 1\n" * (10 * 1024 * 1024))
    assert "50.0 MiB" in problem.what
    assert "lastgood.d" in problem.hint


def _bomb() -> bytes:
    lines = [b"a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [b"a%d: &a%d [%s]" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 12)]
    return b"\n".join(lines)


def _deep_bomb() -> bytes:
    return b"\n".join([b"a0: &a0 [x]", *(b"a%d: &a%d [*a%d]" % (n, n, n - 1) for n in range(1, 5000))])


@pytest.mark.parametrize(
    "content",
    [
        _bomb(),
        _deep_bomb(),
        b"[" * MAX_BYTES,
        b"{" * MAX_BYTES,
        b"- " * (MAX_BYTES // 2),
        b"[" + b"1," * (MAX_BYTES // 2 - 1) + b"]",
        b"a: &x 1\n" + b"b: *x\n" * 1000 + b"[",
        b"? " * (MAX_BYTES // 2),
        b"!" * MAX_BYTES,
    ],
    ids=lambda content: repr(content[:6]),
)
def test_bombs_are_refused_in_bounded_time_and_words(content):
    start = time.perf_counter()
    _, problems = read_tree("f", content)
    assert problems
    assert sum(len(str(problem)) for problem in problems) < 200_000
    assert time.perf_counter() - start < 15


def test_levels_are_counted_through_aliases():
    chain = b"\n".join([b"a0: &a0 [x]", *(b"a%d: &a%d [*a%d]" % (n, n, n - 1) for n in range(1, 60))])
    assert "levels" in _problem(chain).what
