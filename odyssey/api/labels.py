"""Labels of machines as people type them, and those that are asked for before anybody has told of them.

A machine tells of programs only when somebody asks for one by `has:NAME`: there are thousands. So a submit first asks
all that can be asked, and goes on when the log knows their answers.

Promises: what `read` takes can be asked for with --needs; what is waited for is waited for so long and no longer.
Never: touches a disk.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from odyssey.api.errands import MOST_PROGRAMS, SeekPrograms
from odyssey.api.ports import Counter
from odyssey.errors import OdysseyError, UsageError, echo
from odyssey.ids import NodeId
from odyssey.scheduler.needs import NeedsError, parse
from odyssey.spec import JobSpec

HAS: Final = "has:"
SOON_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 2.0  # for a machine to look
MOST: Final = 64
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,63}")
_VALUE: Final = re.compile(r"[A-Za-z0-9_.:+/@-]{0,64}")
_WORDS: Final = frozenset({"and", "or", "not"})
_OPERATOR: Final = re.compile(r"[<>=!]")
AUTOMATIC: Final = frozenset({"os", "arch", "distro", "libc", "python", "docker", "cuda", "gpu", "gpus", "has"})


# -- as they are typed -------------------------------------------------------------------------------------------------


def changed(labels: Mapping[str, str], words: Sequence[str]) -> dict[str, str]:
    """With `k=v` set and `k-` taken away."""
    made = dict(labels)
    for word in words:
        name, equals, value = word.partition("=")
        if not equals and name.endswith("-"):
            made.pop(_checked(name[:-1], word), None)
        elif equals:
            if not _VALUE.fullmatch(value):
                raise UsageError(
                    f"{echo(value)!r} cannot be the value of a label",
                    hint="use at most 64 of letters, digits and _.:+/@-",
                )
            made[_checked(name, word)] = value
        else:
            raise UsageError(
                f"{echo(word)} is no label", hint=f"write {echo(name)}=VALUE, or {echo(name)}- to remove it"
            )
    if len(made) > MOST:
        raise UsageError(f"a machine may have {MOST} labels of its owner's", hint="remove some: NAME-")
    return made


def _checked(name: str, word: str) -> str:
    if not _NAME.fullmatch(name) or name in _WORDS:
        raise UsageError(f"{echo(word)}: {echo(name)!r} cannot be the name of a label", hint="for example: room=lab3")
    if name in AUTOMATIC:
        raise UsageError(f"the label {name} is found out by the machine itself", hint="use another name")
    return name


# -- programs that are asked for ---------------------------------------------------------------------------------------


def programs(needs: str) -> frozenset[str]:
    """Those that an expression asks for; none where it is wrong, which is said elsewhere."""
    if HAS not in needs:
        return frozenset()
    try:
        terms = parse(needs).terms
    except NeedsError:
        return frozenset()
    names = (_OPERATOR.split(term, maxsplit=1)[0] for term in terms)
    return frozenset(name.removeprefix(HAS) for name in names if name.startswith(HAS))


async def asked_for(counter: Counter, specs: Iterable[JobSpec]) -> None:
    """What machines have of the programs that they need is on the log when this returns, if that was possible."""
    names = frozenset(name for spec in specs for name in programs(spec.want.needs))
    if not names:
        return
    found = {counter.me: counter.look_for(names)}
    others = [node.id for node in counter.state.nodes.values() if not node.removed and node.id != counter.me]
    asked = await asyncio.gather(*(_sought(counter, node, names) for node in others))
    found |= dict(zip(others, asked, strict=True))
    await until(counter, lambda: all(HAS + name in of(counter, node) for node in found for name in found[node]))


async def _sought(counter: Counter, node: NodeId, names: frozenset[str]) -> frozenset[str]:
    """What another machine has of them; who does not answer soon has none for now."""
    known = of(counter, node)
    new = tuple(sorted(name for name in names if HAS + name not in known))[:MOST_PROGRAMS]
    if not new:
        return frozenset()
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            found = await counter.others.ask(node, SeekPrograms(new))
    except (OdysseyError, TimeoutError):
        return frozenset()
    return frozenset(found.programs) & frozenset(new)


def of(counter: Counter, node: NodeId) -> dict[str, str]:
    """The labels of a machine, as the log knows them."""
    known = next((one for one in counter.state.nodes.values() if one.id == node and not one.removed), None)
    return dict(known.labels) if known is not None else {}


def own(counter: Counter) -> dict[str, str]:
    return of(counter, counter.me)


async def until(counter: Counter, fact: Callable[[], bool]) -> None:
    """It is so on the log, or it has taken too long."""
    stirred = asyncio.Event()
    deaf = counter.subscribe(lambda _: stirred.set())
    try:
        async with asyncio.timeout(SOON_SECONDS):
            while not fact():
                await stirred.wait()
                stirred.clear()
    except TimeoutError:
        pass
    finally:
        deaf()
