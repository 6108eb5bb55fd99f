"""Odyssey: turns the idle machines of a LAN into one supercomputer.

    from odyssey import Client, MeshExecutor

Importing the package costs nothing: what programs use is loaded when it is first asked for. The map of the package is
docs/ARCHITECTURE.md.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from odyssey.api.executor import MeshExecutor as MeshExecutor
    from odyssey.api.program import Client as Client

__version__ = "0.1.0.dev0"

_FOR_PROGRAMS = {"Client": "odyssey.api.program", "MeshExecutor": "odyssey.api.executor"}


def __getattr__(name: str) -> object:
    module = _FOR_PROGRAMS.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(module), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*globals(), *_FOR_PROGRAMS]
