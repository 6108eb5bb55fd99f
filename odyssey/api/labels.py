"""Labels of machines as people type them, and those that are asked for before anybody has told of them.

A machine tells of programs only when somebody asks for one by `has:NAME`: there are thousands. So a submit asks this
machine first, and goes on when the log knows the answer; the others hear of it from the job itself.

Promises: what `read` takes can be asked for with --needs; what is waited for is waited for so long and no longer.
Never: touches a disk.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from odyssey.api.ports import Counter
from odyssey.errors import UsageError, echo
from odyssey.scheduler.needs import NeedsError, parse
from odyssey.spec import JobSpec

HAS: Final = "has:"
SOON_SECONDS: Final = 5.0
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
    """What this machine has of the programs that they need is on the log when this returns, if that was possible."""
    names = frozenset(name for spec in specs for name in programs(spec.want.needs))
    if names:
        found = counter.look_for(names)
        await until(counter, lambda: all(HAS + name in own(counter) for name in found))


def own(counter: Counter) -> dict[str, str]:
    """The labels of this machine, as the log knows them."""
    me = next((node for node in counter.state.nodes.values() if node.id == counter.me and not node.removed), None)
    return dict(me.labels) if me is not None else {}


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
