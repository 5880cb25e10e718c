"""Where one statement ends and the next begins."""

import sqlite3
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood.database.migration import Dialect, Statement
from lastgood.database.splitter import SplitError, _split_all, split, tokens
from lastgood.effects.databases.sqlite_schema import _normal_tokens, normal_sql

PG: Dialect = "postgresql"
LITE: Dialect = "sqlite"


def texts(sql: str, dialect: Dialect) -> list[str]:
    return [statement.sql for statement in split(sql, dialect)]


@pytest.mark.parametrize("dialect", [PG, LITE])
def test_semicolons_in_strings_names_and_comments_do_not_split(dialect: Dialect) -> None:
    sql = "-- a; b\nINSERT INTO \"a;b\" VALUES ('x;''y;', /* ; */ 1);\n/* only; a comment */\nSELECT 2 -- end;"
    assert texts(sql, dialect) == ["INSERT INTO \"a;b\" VALUES ('x;''y;', /* ; */ 1)", "SELECT 2"]


def test_a_dollar_quoted_body_is_one_statement() -> None:
    body = "CREATE FUNCTION f() RETURNS int AS $body$ BEGIN RETURN $$;$$; END; $body$ LANGUAGE plpgsql"
    assert texts(f"{body};\nSELECT $1;", PG) == [body, "SELECT $1"]


def test_a_function_in_standard_sql_keeps_its_body() -> None:
    body = "CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC SELECT CASE a WHEN 1 THEN 2 END; SELECT 3; END"
    assert texts(f"{body}; SELECT 4", PG) == [body, "SELECT 4"]


def test_a_rule_with_several_actions_is_one_statement() -> None:
    rule = "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b)"
    assert texts(f"{rule}; SELECT 1", PG) == [rule, "SELECT 1"]


def test_backslashes_escape_in_e_strings_only() -> None:
    assert texts(r"SELECT E'it\';s'; SELECT '\'; SELECT 3", PG) == [r"SELECT E'it\';s'", r"SELECT '\'", "SELECT 3"]


def test_comments_nest_in_postgresql_and_not_in_sqlite() -> None:
    sql = "/* a /* b */ ; c */ SELECT 1"
    assert texts(sql, PG) == ["SELECT 1"]
    assert texts("/* a /* b */ SELECT 1; SELECT 2", LITE) == ["SELECT 1", "SELECT 2"]


def test_a_sqlite_trigger_is_one_statement_that_sqlite_takes() -> None:
    trigger = (
        "CREATE TEMP TRIGGER IF NOT EXISTS tr AFTER INSERT ON t BEGIN\n"
        "  UPDATE t SET a = CASE WHEN a > 1 THEN 1 ELSE 2 END;\n  DELETE FROM t WHERE a = ';';\nEND"
    )
    found = texts(f"CREATE TABLE t (a); {trigger}; CREATE TABLE [x;y] (`b;` int);", LITE)
    assert found == ["CREATE TABLE t (a)", trigger, "CREATE TABLE [x;y] (`b;` int)"]
    connection = sqlite3.connect(":memory:")
    for statement in found:
        connection.execute(statement)
    connection.close()


def test_statements_know_their_lines() -> None:
    found = split("\n\nSELECT 1;\n-- note\n\nSELECT\n2;SELECT 3", PG, first_line=10)
    assert [(s.sql, s.line) for s in found] == [("SELECT 1", 12), ("SELECT\n2", 15), ("SELECT 3", 16)]


@pytest.mark.parametrize(
    ("sql", "dialect", "line", "what"),
    [
        ("SELECT 1;\nSELECT 'a\nb", PG, 2, "string"),
        ("SELECT 1;\n\nSELECT $x$ a $y$", PG, 3, r"\$x\$"),
        ("/* a /* b */", PG, 1, "comment"),
        ('SELECT 1;\nSELECT "a', LITE, 2, "quoted name"),
        ("SELECT 1;\n\\connect other\nSELECT 2", PG, 2, "psql"),
        ("CREATE TRIGGER a AFTER INSERT ON t BEGIN DELETE FROM t;", LITE, 1, "END"),
    ],
)
def test_what_does_not_end_is_refused_with_its_line(sql: str, dialect: Dialect, line: int, what: str) -> None:
    with pytest.raises(SplitError, match=what) as caught:
        split(sql, dialect)
    assert caught.value.line == line


@given(st.text(alphabet="a;'\"$-/*\n []`(E\\", max_size=40), st.sampled_from([PG, LITE]))
def test_tokens_lose_nothing(text: str, dialect: Dialect) -> None:
    joined, wrong_line = "", None
    try:
        for token in tokens(text, dialect):
            joined += token.text
    except SplitError as error:
        wrong_line = error.line
    assert joined == text if wrong_line is None else 1 <= wrong_line <= text.count("\n") + 1


_PIECES = st.sampled_from(
    [*"();,.=<>-*/\\'\"$[]`\n ", "begin", "BEGIN", "end", "atomic", "create trigger", "a1", "é", "--", "/*"]
)


@pytest.mark.parametrize("dialect", [PG, LITE])
@given(st.lists(_PIECES | st.sampled_from([" a", "(b)", ";", "\n"]), max_size=12).map("".join))
def test_the_short_way_through_a_plain_text_ends_where_the_long_one_does(dialect: Dialect, text: str) -> None:
    def outcome(how: Callable[[str, Dialect, int], list[Statement]]) -> object:
        try:
            return how(text, dialect, 3)
        except SplitError as error:
            return error.line, error.what

    assert outcome(split) == outcome(_split_all)


@given(st.lists(_PIECES | st.sampled_from([" a", "1.5", "0X1F", "Ab1", "#", "_a", "\t"]), max_size=12).map("".join))
def test_the_short_way_to_the_words_of_a_schema_finds_those_of_the_long_one(text: str) -> None:
    def outcome(how: Callable[[str], list[str]]) -> object:
        try:
            return how(text)
        except SplitError as error:
            return error.line

    assert outcome(normal_sql) == outcome(_normal_tokens)
