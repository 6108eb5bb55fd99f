"""Opening a store at the start, and after an error: what may go on, what begins anew, and what must not start at all.

What is damaged or has gone back is set aside, never repaired and never deleted, and this machine rejoins its mesh with
a new, empty store: another member, which learns the log from those who hold it. Unless nobody does: who voted alone, or
may have, does not start.

Promises: every other error of a store comes out as it is, one message and what would help.
Never: cuts a log, or takes an error of the disk for damage.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from odyssey.ids import NodeId
from odyssey.mesh.store import Damaged, DamagedHistory, NoStore, Old, Store, StoreError

_FIRST_MS: Final = 1_000
_LAST_MS: Final = 60_000


class OnlyCopy(StoreError):
    """A damaged store, and as far as is known nobody else holds what it held."""


class Home(Protocol):
    """Where one store lives."""

    def open(self) -> Store: ...

    def create(self) -> Store:
        """An empty one with an id of its own; it learns who votes."""
        ...

    def set_aside(self, error: Damaged) -> Path:
        """The file that the error names, and what belongs to it; gives its new name."""
        ...

    def begin_anew(self) -> None:
        """Set aside a sound store whose mesh goes on without what its log has behind a fork: its tail is still to be
        handed in. An empty one is made."""
        ...

    def tails(self) -> Sequence[str]:
        """The stores set aside whose tails are still to be handed in, oldest first."""
        ...

    def old(self, name: str) -> Old:
        """One of them. A damaged one raises, and is left as it is."""
        ...

    def handed_in(self, name: str, account: bytes) -> None:
        """Once: its tail is with the mesh. The account is for people, and stays beside it."""
        ...

    def others(self) -> tuple[NodeId, ...] | None:
        """Who votes beside this machine, as noted when that was last known; None: nobody, or it is not known."""
        ...


class Aside(NamedTuple):
    """What a person should be told: nothing is lost, but something was damaged."""

    error: Damaged
    path: Path


class Opened(NamedTuple):
    store: Store
    aside: tuple[Aside, ...] = ()


def open_or_begin_anew(home: Home, joined: bool = True) -> Opened:
    """Raises what a person has to mend. Who has joined a mesh and has no store begins with an empty one: it may have
    been stopped when the old one was set aside and the new one not yet made."""
    try:
        return Opened(home.open())
    except NoStore:
        if not joined:
            raise
        return Opened(home.create())
    except DamagedHistory as error:
        aside = Aside(error, home.set_aside(error))
        store, more = open_or_begin_anew(home, joined)
        return Opened(store, (aside, *more))
    except Damaged as error:
        if (refusal := why_not_anew(error, home.others())) is not None:
            raise refusal from error
        aside = Aside(error, home.set_aside(error))
        return Opened(home.create(), (aside,))


def why_not_anew(error: Damaged, others: tuple[NodeId, ...] | None) -> OnlyCopy | None:
    if others is not None:
        return None
    text = f"{error.message}; it is not known that another machine holds what its mesh has agreed on"
    hint = (
        "put its newest copy back if there is one; else run `odyssey mesh recover`, on a machine that stood by if one"
        " did: it starts from the best copy that is left"
    )
    return OnlyCopy(text, hint=hint, path=error.path)


def wait_ms(failures: int) -> int:
    """After so many failures in a row, before a store that failed is opened again: what was full may be emptied, and
    nothing is gained by hurry."""
    return min(_LAST_MS, _FIRST_MS << min(max(0, failures - 1), 10))
