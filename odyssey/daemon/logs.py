"""The daemon's own log: JSON lines in a file that is turned over, or text on a terminal.

Promises: at most FILES files of BYTES each; a disk that takes no more loses lines of the log and nothing else.
Never: holds what people ran: no words of commands, no bytes of jobs, no secrets.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

BYTES: Final = 10 << 20
FILES: Final = 5
_MOST: Final = 4000  # characters of one message

logging.getLogger("odyssey").addHandler(logging.NullHandler())  # what comes before `begin` is not for the terminal


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": _rfc3339(record.created),
            "level": record.levelname.lower(),
            "from": record.name.removeprefix("odyssey."),
            "text": record.getMessage()[:_MOST],
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)[-_MOST:]
        return json.dumps(line, ensure_ascii=False)


class Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")


def _rfc3339(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"


def begin(path: Path, level: str, shows: bool) -> None:
    """`shows`: on standard error, for somebody who looks on."""
    logging.raiseExceptions = False
    root = logging.getLogger("odyssey")
    root.setLevel(level.upper())
    root.propagate = False
    root.handlers = [_shown() if shows else _kept(path)]


def _kept(path: Path) -> logging.Handler:
    handler = RotatingFileHandler(path, maxBytes=BYTES, backupCount=FILES - 1, encoding="utf-8", errors="replace")
    handler.setFormatter(JsonLines())
    return handler


def _shown() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Text())
    return handler
