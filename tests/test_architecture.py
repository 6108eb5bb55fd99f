"""The source obeys the map.

Each rule is a small pure function from a source text to its violations. It is also shown snippets it must
refuse and snippets it must let pass, so a rule that has gone blind is a failing test. Who may import whom
between the rooms is import-linter's part (pyproject.toml); here is what it cannot say.

A rule reads the syntax tree and never imports what it judges.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "odyssey"

# Patterns are relative to odyssey/; `*` also spans folders.
PURE = (
    "scheduler/*",
    "mesh/raft/*",
    "mesh/roles.py",
    "mesh/membership.py",
    "mesh/observing.py",
    "mesh/lease.py",
    "mesh/grants.py",
    "mesh/safety.py",
    "mesh/crew.py",
    "mesh/keeper.py",
    "mesh/transfer.py",
    "mesh/segment_transfer.py",
    "mesh/compaction.py",
    "mesh/others.py",
    "mesh/generation.py",
    "mesh/recover.py",
    "mesh/archive.py",
    "mesh/discovery/adverts.py",
    "mesh/discovery/interfaces.py",
    "mesh/discovery/networks.py",
    "mesh/discovery/nobody.py",
    "mesh/discovery/sightings.py",
    "mesh/discovery/tables.py",
    "mesh/discovery/ways.py",
    "mesh/trust/primitives.py",
    "mesh/trust/signed.py",
    "mesh/trust/certificates.py",
    "mesh/trust/trustset.py",
    "mesh/trust/invite.py",
    "mesh/trust/letters.py",
    "mesh/trust/join_server.py",
    "mesh/trust/join_client.py",
    "mesh/trust/pairing.py",
    "mesh/trust/inviting.py",
    *(
        f"mesh/links/{name}.py"
        for name in ("ports", "frames", "limits", "outbox", "channel", "letters", "answers", "switchboard")
    ),
    "exec/launch.py",
    "exec/supervisor/desk.py",
    "exec/supervisor/frames.py",
    "exec/supervisor/orders.py",
    "exec/supervisor/spans.py",
    "api/views.py",
    "api/requests.py",
    "api/operations.py",
    "api/frames.py",
    "api/project.py",
    "api/tally.py",
    "api/matching.py",
    "api/names.py",
    "api/teller.py",
    "api/following.py",
    "api/asking.py",
    "api/dag.py",
    "api/filter.py",
    "api/outlook.py",
    "api/retelling.py",
    "api/relay/remembered.py",
    "cli/ending.py",
    "cli/flow.py",
    "cli/halting.py",
    "cli/mapfiles.py",
    "cli/mapping.py",
    "cli/neighbours.py",
    "cli/progress.py",
    "cli/sheet.py",
    "tui/viewmodel.py",
)
LAB_EDGE = "scheduler/lab/__main__.py"
FACES = ("cli/*", "tui/*")
AT_THE_COUNTER = tuple(
    f"odyssey.api.{name}"
    for name in (
        "client",
        "aclient",
        "views",
        "requests",
        "operations",
        "documents",
        "asking",
        "filter",
        "outlook",
        "cuts",
    )
)
# What every replica works out for itself. A score may be inexact, it is only a proposal; these may not.
ON_THE_LOG = (
    "ids.py",
    "resources.py",
    "spec.py",
    "model.py",
    "commands.py",
    "events.py",
    "scheduler/state.py",
    "scheduler/apply*.py",
    "scheduler/apply/*",
    "scheduler/transitions/*",
    "scheduler/draft.py",
    "scheduler/needs.py",
    "scheduler/ordered.py",
    "scheduler/retry.py",
    "scheduler/runs.py",
    "scheduler/waiting.py",
)

WORLD = frozenset(
    {
        *("asyncio", "concurrent", "multiprocessing", "threading", "_thread", "signal", "subprocess"),
        *("time", "datetime", "sched"),
        *("random", "secrets", "uuid"),
        *("os", "pathlib", "io", "shutil", "tempfile", "glob", "fcntl", "logging", "sqlite3"),
        *("socket", "select", "selectors", "ssl", "http", "urllib"),
        *("zmq", "zeroconf", "docker", "psutil", "prometheus_client", "click", "textual"),
    }
)


@cache
def parsed(source: str) -> ast.Module:
    return ast.parse(source)


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Every imported name with its line; `from a import b` gives `a.b`."""
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            room = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{room}.{alias.name}") for alias in node.names)


def below(name: str, rooms: Iterable[str]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def importing(source: str, rooms: Iterable[str]) -> list[str]:
    wanted = tuple(rooms)
    return [f"{line}: imports {name}" for line, name in imports(source) if below(name, wanted)]


def using(source: str, names: Iterable[str]) -> list[str]:
    """Uses of a builtin by name, called or handed on."""
    wanted = frozenset(names)
    return [
        f"{node.lineno}: uses {node.id}"
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in wanted
    ]


# ---- the rules -------------------------------------------------------------------------------------


def no_head(source: str) -> list[str]:
    return [] if (ast.get_docstring(parsed(source)) or "").strip() else ["1: no docstring at the head"]


def relative_imports(source: str) -> list[str]:
    """The rules below compare full names, so every import gives one."""
    return [f"{line}: imports {name}" for line, name in imports(source) if name.startswith(".")]


def reaching_the_world(source: str) -> list[str]:
    return importing(source, WORLD) + using(source, ("open", "print", "input", "__import__"))


def hashing(source: str) -> list[str]:
    """`hash` of a string differs from process to process, so two replicas would disagree."""
    return using(source, ("hash",))


def inexact(source: str) -> list[str]:
    found = using(source, ("float", "complex"))
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found.append(f"{node.lineno}: the number {node.value} is not exact")
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            found.append(f"{node.lineno}: `/` gives a float, `//` does not")
    return found


def using_zmq(source: str) -> list[str]:
    return importing(source, ("zmq",))


def using_cryptography(source: str) -> list[str]:
    return importing(source, ("cryptography",))


def loading_cryptography(source: str) -> list[str]:
    """At the head of a module: then everybody who starts would wait for it."""
    top = [node for node in parsed(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    return using_cryptography("\n".join(map(ast.unparse, top)))


def using_zeroconf(source: str) -> list[str]:
    return importing(source, ("zeroconf",))


def using_docker(source: str) -> list[str]:
    return importing(source, ("docker",))


def beyond_the_library(source: str) -> list[str]:
    """The supervisor starts in milliseconds, and goes on while the rest is upgraded."""
    return [
        f"{line}: imports {name}"
        for line, name in imports(source)
        if not below(name, ("odyssey.exec.supervisor", *sys.stdlib_module_names))
    ]


def using_sqlite(source: str) -> list[str]:
    return importing(source, ("sqlite3", "_sqlite3"))


def printing(source: str) -> list[str]:
    echoes = [
        f"{node.lineno}: uses click.{node.attr}"
        for node in ast.walk(parsed(source))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "click"
        and node.attr in {"echo", "secho", "echo_via_pager"}
    ]
    return using(source, ("print",)) + echoes + importing(source, ("click.echo", "click.secho"))


def passing_the_counter(source: str) -> list[str]:
    """Of the counter a face knows the clients and their language, of the rooms behind it nothing."""
    behind = importing(source, ("odyssey.coordinator", "odyssey.mesh", "odyssey.exec", "odyssey.scheduler"))
    at_the_counter = [
        f"{line}: imports {name}"
        for line, name in imports(source)
        if below(name, ("odyssey.api",)) and not below(name, AT_THE_COUNTER)
    ]
    return behind + at_the_counter


@dataclass(frozen=True)
class Rule:
    name: str
    violations: Callable[[str], list[str]]
    refused: tuple[str, ...]
    allowed: tuple[str, ...]
    where: tuple[str, ...] = ("*",)
    but_not: tuple[str, ...] = ()

    def covers(self, path: str) -> bool:
        return matches(path, self.where) and not matches(path, self.but_not)


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(path, pattern) for pattern in patterns)


RULES = (
    Rule(
        "every module says at its head what it is for",
        no_head,
        refused=("", "import x", "x = 1\n'''late'''", "''' '''"),
        allowed=("'''What it is for.'''",),
    ),
    Rule(
        "every import gives the full name",
        relative_imports,
        refused=("from . import model", "from .model import Job", "from .. import wire"),
        allowed=("from odyssey import model", "import odyssey.wire"),
    ),
    Rule(
        "a pure module does not reach the world",
        reaching_the_world,
        where=PURE,
        but_not=(LAB_EDGE,),
        refused=(
            "import time",
            "import os.path",
            "from time import monotonic",
            "import json, random",
            "def f():\n    import socket",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import zmq",
            "import concurrent.futures",
            "open('x')",
            "print(1)",
            "answer = input()",
            "for_each(print)",
            "__import__('os')",
        ),
        allowed=(
            "import math",
            "import timeit",
            "from odyssey.clock import Clock",
            "from odyssey import os",
            "door.open()",
            "class Door:\n    def open(self) -> None: ...",
        ),
    ),
    Rule(
        "the brain does not hash",
        hashing,
        where=("scheduler/*",),
        refused=("x = hash('job')", "sorted(jobs, key=hash)"),
        allowed=("class Job:\n    def __hash__(self) -> int:\n        return 1", "digest.hash('job')"),
    ),
    Rule(
        "what is on the log is exact",
        inexact,
        where=ON_THE_LOG,
        refused=(
            "x: float",
            "x = float(y)",
            "x = 1.0",
            "x = 1e3",
            "x = 2j",
            "x = a / b",
            "a /= 2",
            "def f(x=0.5): ...",
        ),
        allowed=("x = 1", "x = a // b", "a //= 2", "x = '0.5'", "x = a % b"),
    ),
    Rule(
        "zmq stays in the links",
        using_zmq,
        but_not=tuple(f"mesh/links/{name}.py" for name in ("sockets", "zap", "doorman", "wires")),
        refused=("import zmq", "from zmq import asyncio", "import zmq.auth as auth"),
        allowed=("from odyssey.mesh import links", "import zmqlike"),
    ),
    Rule(
        "cryptography stays in one module",
        using_cryptography,
        but_not=("mesh/trust/primitives.py",),
        refused=("import cryptography", "def f():\n    from cryptography.hazmat.primitives import hashes"),
        allowed=("from odyssey.mesh.trust import primitives", "import hashlib"),
    ),
    Rule(
        "cryptography is loaded by who uses it",
        loading_cryptography,
        refused=("import cryptography", "from cryptography.exceptions import InvalidSignature"),
        allowed=("def f():\n    import cryptography", "import hashlib"),
    ),
    Rule(
        "zeroconf stays in one module",
        using_zeroconf,
        but_not=("mesh/discovery/mdns.py",),
        refused=("import zeroconf", "def f():\n    from zeroconf.asyncio import AsyncZeroconf"),
        allowed=("from odyssey.mesh.discovery.mdns import Mdns",),
    ),
    Rule(
        "docker stays in the container executor",
        using_docker,
        but_not=("exec/container.py",),
        refused=("import docker", "from docker.errors import NotFound"),
        allowed=("from odyssey.exec import container",),
    ),
    Rule(
        "the supervisor needs nothing but Python's library",
        beyond_the_library,
        where=("exec/supervisor/*",),
        refused=("import msgspec", "from odyssey.model import Outcome", "from odyssey.exec import hands"),
        allowed=(
            "import os.path",
            "from odyssey.exec.supervisor import frames",
            "from collections.abc import Iterator",
        ),
    ),
    Rule(
        "sqlite3 stays in one module",
        using_sqlite,
        but_not=("mesh/sqlite.py",),
        refused=("import sqlite3", "from sqlite3 import connect", "import sqlite3.dbapi2"),
        allowed=("from odyssey.mesh.sqlite import Database", "from odyssey.mesh import sqlite_store"),
    ),
    Rule(
        "only the output module prints",
        printing,
        but_not=("cli/output.py", "__main__.py", LAB_EDGE),
        refused=("print('x')", "for_each(print)", "click.echo('x')", "from click import echo"),
        allowed=("output.print('x')", "click.style('x')", "pprint(1)"),
    ),
    Rule(
        "a face is a client",
        passing_the_counter,
        where=FACES,
        refused=(
            "from odyssey.api import submit",
            "from odyssey import mesh",
            "import odyssey.scheduler.plan",
            "from odyssey.api import *",
        ),
        allowed=(
            "from odyssey.api import client, views",
            "from odyssey.api.client import Client",
            "from odyssey.errors import OdysseyError",
        ),
    ),
)

every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name.replace(" ", "-"))


# ---- the package -----------------------------------------------------------------------------------


@cache
def modules() -> dict[str, str]:
    """Path below odyssey/ -> source."""
    files = sorted(PACKAGE.rglob("*.py"))
    return {file.relative_to(PACKAGE).as_posix(): file.read_text(encoding="utf-8") for file in files}


def test_the_walk_finds_the_package() -> None:
    assert {"__init__.py", "__main__.py"} <= modules().keys()


@every_rule
def test_the_rule_sees_what_it_must_refuse(rule: Rule) -> None:
    assert [snippet for snippet in rule.refused if not rule.violations(snippet)] == []


@every_rule
def test_the_rule_lets_the_rest_pass(rule: Rule) -> None:
    assert [snippet for snippet in rule.allowed if rule.violations(snippet)] == []


@every_rule
def test_the_source_obeys(rule: Rule) -> None:
    found = [
        f"odyssey/{path}:{violation}"
        for path, source in modules().items()
        if rule.covers(path)
        for violation in rule.violations(source)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("path", "pure"),
    [
        ("scheduler/plan.py", True),
        ("scheduler/policies/weighted.py", True),
        ("scheduler/lab/run.py", True),
        ("scheduler/lab/__main__.py", False),
        ("mesh/raft/core.py", True),
        ("mesh/links/channel.py", True),
        ("mesh/links/wires.py", False),
        ("clock.py", False),
    ],
)
def test_the_pure_rooms_are_the_ones_of_the_map(path: str, pure: bool) -> None:
    rule = next(rule for rule in RULES if rule.violations is reaching_the_world)
    assert rule.covers(path) is pure


# ---- texts that must agree with the source ---------------------------------------------------------


def unnamed(document: str, paths: Iterable[str]) -> list[str]:
    """Modules a document does not name: `apply.py` for a module, `scheduler/` for a package."""
    return [path for path in paths if not re.search(spoken(path), document)]


def spoken(path: str) -> str:
    folder, _, file = f"odyssey/{path}".rpartition("/")
    name = f"{folder.rpartition('/')[2]}/" if file == "__init__.py" else rf"{re.escape(file)}\b"
    return rf"(?<![\w.]){name}"


def test_an_unnamed_module_is_seen() -> None:
    document = "odyssey/\n  wire.py\n  scheduler/apply.py\n"
    paths = [
        "__init__.py",
        "wire.py",
        "ire.py",
        "scheduler/__init__.py",
        "scheduler/apply.py",
        "mesh/__init__.py",
    ]
    assert unnamed(document, paths) == ["ire.py", "mesh/__init__.py"]


def test_every_module_is_on_the_map() -> None:
    document = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert unnamed(document, modules()) == []


def addresses(lock: str) -> list[str]:
    """Lines of a lock that say where to fetch from. It must install from any index."""
    return [line for line in lock.splitlines() if "://" in line or re.match(r"\s*-(-?)(?!-?hash=)\w", line)]


def test_an_address_in_the_lock_is_seen() -> None:
    refused = ["--index-url x", "-i x", "--find-links x", "a @ https://x/a.whl", "# from https://x"]
    allowed = ["click==1.0 \\", "    --hash=sha256:00 \\", "    # via odyssey-mesh (pyproject.toml)"]
    assert addresses("\n".join(refused + allowed)) == refused


def test_the_lock_names_no_address() -> None:
    assert addresses((ROOT / "requirements.lock").read_text(encoding="utf-8")) == []
