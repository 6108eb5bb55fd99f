"""Views as the documents that `--json` prints: objects, lists, text and numbers.

Promises: the fields of a view under their own names; times as RFC 3339 in UTC with milliseconds; bytes as text, with
what is not UTF-8 escaped.
Never: leaves anything out, or adds to it.
"""

import time
from typing import Any

import msgspec

from odyssey.api.views import EventView, JobDetail, NodeDetail


def document(view: object) -> Any:
    match view:
        case EventView():  # the one whose time is called just `at`
            return {**_fields(view), "at": rfc3339(view.at)}
        case JobDetail():
            rest = _fields(view)
            return {**rest.pop("job"), **rest}
        case NodeDetail():
            rest = _fields(view)
            return {**rest.pop("node"), **rest}
        case msgspec.Struct():
            return _fields(view)
        case tuple() | list():
            return [document(one) for one in view]
        case dict():
            return {key: document(value) for key, value in view.items()}
        case bytes():
            return view.decode("utf-8", "backslashreplace")
    return view


def _fields(view: msgspec.Struct) -> dict[str, Any]:
    return {name: _field(name, getattr(view, name)) for name in view.__struct_fields__}


def _field(name: str, value: object) -> Any:
    return rfc3339(value) if name.endswith("_at") and isinstance(value, int) else document(value)


def rfc3339(wall_ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(wall_ms // 1000)) + f".{wall_ms % 1000:03d}Z"
