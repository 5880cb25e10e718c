"""``lastgood function``: versions of functions by themselves, beside the releases that they are part of."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lastgood.errors import ConfigError, Failed, Problem, UsageError
from lastgood.interfaces.cli import logs as log_pages
from lastgood.interfaces.cli.session import Session
from lastgood.interfaces.cli.text import columns, milliseconds
from lastgood.interfaces.cli.verb import group, verb

if TYPE_CHECKING:
    from lastgood.config.model import Function
    from lastgood.effects.functions.local import LocalFunctions
    from lastgood.ports import FunctionVersion

app = group("Versions of functions: make one, look at it, ask it, whatever has the traffic.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A function of the configuration.")]
SomeName = Annotated[str | None, typer.Argument(metavar="[NAME]", help="A function; default: all.")]
Version = Annotated[
    str, typer.Argument(metavar="[VERSION]", help="The beginning of a version's digest, a tag, or latest.")
]


def _functions(session: Session) -> LocalFunctions:
    from lastgood.bootstrap.services import make_functions
    from lastgood.effects.secrets import SecretStore
    from lastgood.settings import prepare

    prepare(session.places)
    return make_functions(session.places, SecretStore(session.places.secrets))


@verb(app, "upload")
def upload(
    session: Session,
    name: Name,
    origin: Annotated[
        str | None,
        typer.Option("--from", metavar="PATH", help="A folder or an archive; default: its source in the checkout."),
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Keep it under this name.")] = None,
) -> None:
    """Make a version of what lies on the disk, committed or not. It gets no traffic.

    Its settings are those of lastgood.yaml. The same content again is the same version, and is not built again. Of each
    function as many versions are kept as its keep_versions says (100), those with a tag beyond.
    """
    from lastgood.operations.function_maker import settings_of

    function = _configured(session, name)
    path = session.around.folder / origin if origin else session.places.root / function.source
    functions = _functions(session)
    if function.runtime == "worker" and path.is_dir():
        _warn(session, path)
    made = functions.upload(name, settings_of(function), path)
    if function.runtime == "worker" and path.is_file():
        _warn(session, functions.bundle(name, made.digest))
    if tag is not None:
        made = functions.tag(name, made.digest, tag)
    session.give(
        _value(made), [f"{name} {made.digest[:12]}", f"ask it: lastgood function invoke {name} {made.digest[:12]}"]
    )


@verb(app, "list")
def versions(session: Session, name: SomeName = None) -> None:
    """The versions that are kept, the newest first."""
    found = _functions(session).versions(name)
    lines = [f"{each.name} {each.digest[:12]}  {_moment(each)}  {' '.join(each.tags)}".rstrip() for each in found]
    session.give(
        {"versions": [_value(each) for each in found]}, lines or ["no versions yet: lastgood function upload NAME"]
    )


@verb(app, "show")
def show(session: Session, name: Name, version: Version = "latest") -> None:
    """One version: its settings, and how it is now beside its traffic. Wakes nobody."""
    functions = _functions(session)
    chosen = _chosen(functions, name, version)
    standing, address = functions.observe(name, chosen.digest), functions.address(name, chosen.digest)
    where = (
        f"{standing} at {address}" if address else f"{standing}; lastgood function preview {name} {chosen.digest[:12]}"
    )
    lines = [f"{name} {chosen.digest}", f"made      {_moment(chosen)}", f"preview   {where}"]
    lines += [f"tags      {' '.join(chosen.tags)}"] if chosen.tags else []
    lines += [f"{key:<9} {said}" for key, said in sorted(chosen.settings.items())]
    session.give({**_value(chosen), "standing": standing, "address": address}, lines)


@verb(app, "preview")
def preview(session: Session, name: Name, version: Version = "latest") -> None:
    """Wake one version, whatever has the traffic, and say its address. Exit code 6: it does not start.

    The address is of this machine and for this version alone; it leaves after two minutes without a request.
    """
    functions = _functions(session)
    chosen = _chosen(functions, name, version)
    address = functions.activate(name, chosen.digest)
    session.give({"name": name, "version": chosen.digest, "address": address}, [address])


@verb(app, "tag")
def tag(
    session: Session,
    name: Name,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The beginning of its digest, or a tag.")],
    tag: Annotated[str, typer.Argument(metavar="TAG", help="The name to keep it under.")],
) -> None:
    """Keep a version under a name of its own; whatever version had this tag loses it."""
    if not tag.replace("-", "").replace("_", "").replace(".", "").isalnum() or tag == "latest":
        raise UsageError(f"{tag!r} is no tag", next="use letters, digits, dots, dashes and underscores")
    if len(tag) >= 4 and not tag.strip("0123456789abcdef"):
        raise UsageError(f"{tag!r} could be the beginning of a version's digest", next="use a tag with another letter")
    tagged = _functions(session).tag(name, version, tag)
    session.give(_value(tagged), [f"{name} {tagged.digest[:12]} is {tag}"])


@verb(app, "invoke")
def invoke(
    session: Session,
    name: Name,
    version: Version = "latest",
    path: Annotated[str, typer.Option("--path", metavar="PATH", help="Path and query.")] = "/",
    method: Annotated[
        str | None, typer.Option("--method", metavar="METHOD", help="Default: GET, or POST with data.")
    ] = None,
    header: Annotated[list[str] | None, typer.Option("--header", metavar="NAME:VALUE", help="May be repeated.")] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="TEXT|@FILE", help="The body.")] = None,
) -> int:
    """Ask one version, whatever has the traffic. Exit code 6: it answered with an error (5xx), or did not start.

    It is started for that, at an address of its own, and leaves when nobody asks it any more. Its log is that of the
    version: lastgood function logs NAME.
    """
    from lastgood.ports import FunctionRequest

    functions = _functions(session)
    chosen = _chosen(functions, name, version)
    body = _body(session, data)
    headers = tuple(_header(text) for text in header or ())
    request = FunctionRequest(method or ("POST" if data is not None else "GET"), _path(path), headers, body)
    address = functions.activate(name, chosen.digest)
    answer = functions.invoke(name, chosen.digest, request)
    text = answer.body.decode("utf-8", "replace")
    value = {
        "version": chosen.digest,
        "address": address,
        "status": answer.status,
        "headers": [list(pair) for pair in answer.headers],
        "body": text,
        "took_ms": round(answer.took_ms, 1),
    }
    session.give(value, [f"{answer.status}  {name} {chosen.digest[:12]} at {address}", *text.splitlines()])
    return Failed.exit_code if answer.status >= 500 else 0


@verb(app, "crons")
def crons(session: Session, name: SomeName = None) -> None:
    """When functions run by themselves, in UTC: the last time of each, how that ended, and the next time.

    Those of the live release run, each at most once at a time. Times that nobody watched, because no controller ran,
    are counted and not made up for.
    """
    from lastgood.bootstrap.crons import cron_record
    from lastgood.effects.cron_record import CronFile

    found = CronFile(cron_record(session.places)).read().get("triggers", [])
    mine = [one for one in found if name in (None, one["name"])]
    lines = columns([_cron(one) for one in mine])
    session.give({"crons": mine}, lines or ["the live release has no function that runs by the clock"])


def _cron(found: dict[str, Any]) -> list[str]:
    run = found["run"]
    asked = "" if found["path"] == "/" else f" {found['path']}"
    last = "not yet"
    if run is not None:
        took = f" in {milliseconds(run['took_ms'])}" if run["took_ms"] else ""
        told = f" ({run['detail']})" if run["detail"] else ""
        last = f"last {run['at'][:16]} {run['outcome']}{took}{told}"
    missed = f"missed {run['missed']}" if run is not None and run["missed"] else ""
    return [f"{found['name']}{asked}", found["said"], found["digest"][:12], last, f"next {found['next'][:16]}", missed]


@verb(app, "logs")
def logs(
    session: Session,
    name: Name,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, max=100_000, help="How many of the last lines.")] = 50,
) -> int:
    """What the versions of a function print: the last lines of each."""
    return log_pages.logs(session, f"service:{name}", False, lines)


def _warn(session: Session, project: Path) -> None:
    """Say what has no meaning here in a Workers project."""
    from lastgood.effects.functions.wrangler import remarks

    for remark in remarks({file.name: file.read_bytes for file in project.iterdir() if file.is_file()}):
        session.note(f"warning: {remark}")


def _configured(session: Session, name: str) -> Function:
    """The function as the configuration on the disk has it; other sections may be half written."""
    from lastgood.config.model import Function
    from lastgood.config.parse import FOLDER, MAIN_FILE, is_source, parse_file

    root = session.places.root
    problems: list[Problem] = []
    known: list[str] = []
    for path in (root / MAIN_FILE, *sorted(each for each in (root / FOLDER).glob("*") if each.is_file())):
        place = path.relative_to(root).as_posix()
        if not is_source(place) or not path.is_file():
            continue
        fragment = parse_file(place, path.read_bytes())
        problems += fragment.problems
        for entry in fragment.entries.values():
            if isinstance(entry.value, Function):
                if entry.name == name:
                    return entry.value
                known.append(entry.name)
    if problems:
        raise ConfigError(tuple(problems))
    there = ", ".join(sorted(known)) or "none"
    raise UsageError(f"there is no function {name} in lastgood.yaml", next=f"its functions: {there}")


def _chosen(functions: LocalFunctions, name: str, version: str) -> FunctionVersion:
    return functions.find(name, version)


def _path(text: str) -> str:
    if not text.startswith("/") or any(mark <= " " for mark in text):
        raise UsageError(f"{text!r} is no path", next="begin it with a slash; encode spaces as %20")
    return text


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise UsageError(f"{text!r} is no header", next="write NAME:VALUE")
    return name.strip(), value.strip()


def _body(session: Session, data: str | None) -> bytes:
    if data is None or not data.startswith("@"):
        return (data or "").encode()
    path = Path(session.around.folder, data[1:])
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", where=str(path)) from None


def _value(version: FunctionVersion) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.digest,
        "at_s": version.at_s,
        "settings": dict(version.settings),
        "tags": list(version.tags),
        "size_bytes": version.size_bytes,
    }


def _moment(version: FunctionVersion) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(version.at_s))
