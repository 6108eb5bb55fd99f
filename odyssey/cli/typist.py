"""What a person types, on its way to the terminal of one attempt: one thread reads the keys, another one sends them.

Promises: each byte is typed once and in order, over restarts of the daemon too. Keys that nobody takes are bounded:
then reading waits, and when nothing has moved for a moment, they are dropped with a bell, so that the way out works.
Never: prints, or ends the job. Reads no key after `stop` has returned.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from select import select
from typing import Final

from odyssey.api.cuts import Cut
from odyssey.api.operations import Asker
from odyssey.api.requests import Type
from odyssey.api.views import Typed
from odyssey.cli.escapes import Escapes
from odyssey.errors import OdysseyError, Unreachable

AHEAD: Final = 64 << 10  # bytes that are not taken yet
PIECE: Final = 16 << 10
AGAIN_SECONDS: Final = 0.02  # until what found no room, or nobody there, is said again
STUCK_SECONDS: Final = 1.0
STOP_SECONDS: Final = 2.0
NUDGE_SECONDS: Final = 0.1  # between two sizes, so that a program sees both
Size = tuple[int, int]


class Typist:
    def __init__(
        self,
        asker: Asker,
        ref: str,
        attempt: int,
        keys: int,
        size: Callable[[], Size],
        news: Callable[[], None],
        bell: Callable[[], None],
    ) -> None:
        """`keys`: the descriptor they come from. `news`: look at the fields below."""
        self._asker, self._ref, self._attempt, self._keys, self._size = asker, ref, attempt, keys, size
        self._news, self._bell = news, bell
        self._writer = int.from_bytes(os.urandom(8))
        self._escapes = Escapes()
        self._changed = threading.Condition()  # around what follows
        self._ahead = bytearray()
        self._taken = 0  # bytes before those
        self._sizes: deque[Size] = deque()
        self._is_stopped = self._is_stuck = False
        self._stop_read, self._stop_write = os.pipe()
        self._reader = threading.Thread(target=self._read, name="keys", daemon=True)
        self.takes = False  # the terminal, from whoever types there
        self.has_left = False  # the person typed the way out
        self.is_lost = False  # the terminal is gone
        self.only_looks = False  # somebody else types there
        self.failure: OdysseyError | None = None

    def start(self, *, is_back: bool) -> None:
        """`is_back`: the program is to draw everything again."""
        self.resize(is_nudge=is_back)
        self._reader.start()
        threading.Thread(target=self._send, name="typist", daemon=True).start()

    def stop(self) -> None:
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        os.write(self._stop_write, b".")
        if self._reader.ident is not None:
            self._reader.join(STOP_SECONDS)
        if not self._reader.is_alive():  # else it hangs in a terminal that takes nothing, and goes with this process
            os.close(self._stop_read)
            os.close(self._stop_write)

    def resize(self, *, is_nudge: bool = False) -> None:
        """As large as the terminal is here. A program that sees its size change draws everything again."""
        rows, columns = self._size()
        with self._changed:
            self._sizes.clear()
            if is_nudge:
                self._sizes.append((rows, columns - 1 if columns > 1 else columns + 1))
            self._sizes.append((rows, columns))
            self._changed.notify_all()

    # ---- keys --------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        while not self.has_left and not self.is_lost:
            ready, _, _ = select([self._keys, self._stop_read], [], [])
            if self._stop_read in ready:
                return
            try:
                data = os.read(self._keys, 4096)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            self.is_lost = not data
            data, self.has_left = self._escapes.feed(data)
            if data:
                self._put(data)
        self._news()

    def _put(self, data: bytes) -> None:
        with self._changed:
            if self.only_looks:
                return
            if not self._is_stuck:
                self._changed.wait_for(self._has_room, STUCK_SECONDS)
            self._is_stuck = not self._has_room()
            if not self._is_stuck:
                self._ahead += data
                self._changed.notify_all()
                return
        self._bell()

    def _has_room(self) -> bool:
        return len(self._ahead) < AHEAD or self._is_stopped

    # ---- to the daemon -----------------------------------------------------------------------------------------------

    def _send(self) -> None:
        cut = Cut()
        try:
            while (piece := self._next()) is not None:
                typed = self._call(piece, cut)
                if typed is None:
                    continue
                if not typed.is_mine:
                    self.only_looks = True
                    self._news()
                    return
                self._pause(self._note(typed, piece))
        except Unreachable:
            return  # a daemon that stays away is noticed by whoever follows the job
        except OdysseyError as error:
            self.failure = error
            self._news()

    def _call(self, piece: Type, cut: Cut) -> Typed | None:
        """None: the mesh is out of reach just now; it is said again."""
        try:
            typed = self._asker.call(piece)
        except Unreachable as error:
            if (pause := cut.pause(error, time.monotonic())) is None:
                raise
            self._pause(pause)
            return None
        cut.answered()
        return typed

    def _next(self) -> Type | None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopped or self._ahead or self._sizes)
            if self._is_stopped:
                return None
            rows, columns = self._sizes[0] if self._sizes else (0, 0)
            data = bytes(self._ahead[:PIECE])
            return Type(self._ref, self._attempt, self._writer, self._taken, data, rows, columns, self.takes)

    def _note(self, typed: Typed, piece: Type) -> float:
        """How long to wait until the next piece."""
        if not typed.is_ready:
            return AGAIN_SECONDS
        self.takes = False  # once: the other one may take it back
        with self._changed:
            sent = (piece.rows, piece.columns)
            is_nudged = bool(self._sizes) and self._sizes[0] == sent
            if is_nudged:
                self._sizes.popleft()
            if typed.taken < self._taken:
                self._begin_again()
                return 0.0
            taken = min(typed.taken - self._taken, len(piece.data))
            del self._ahead[:taken]
            self._taken += taken
            self._changed.notify_all()
            if self._sizes and is_nudged:
                return NUDGE_SECONDS
        return AGAIN_SECONDS if piece.data and not taken else 0.0

    def _begin_again(self) -> None:
        """Somebody else has typed meanwhile. What is under way may have been typed or not: better lost than twice."""
        self._writer, self._taken = int.from_bytes(os.urandom(8)), 0
        self._ahead.clear()

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._changed:
            while seconds > 0 and not self._is_stopped:
                self._changed.wait(seconds)
                seconds = until - time.monotonic()
