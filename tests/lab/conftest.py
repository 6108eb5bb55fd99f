"""Tests in hosts in a box: told loudly where they cannot be, and never by the way.

They are marked `lab` and left out unless they are asked for (`make test-lab`): they want the machine to themselves.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.lab.able import why_not
from tests.lab.wheels import PREVIOUS

COULD_NOT: Final = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lab-must-run", action="store_true", help="where there can be no lab, its tests fail")
    parser.addoption("--version-before", default=PREVIOUS, help="the commit that tests of two versions take as the old")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[COULD_NOT] = []


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("lab") is None or (reason := why_not()) is None:
        return
    if item.config.getoption("--lab-must-run", default=False):
        pytest.fail(f"no lab on this machine: {reason}", pytrace=False)
    item.config.stash[COULD_NOT].append(item.nodeid)
    pytest.skip(f"no lab on this machine: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if count := len(config.stash[COULD_NOT]):
        terminalreporter.section("lab", yellow=True)
        terminalreporter.write_line(f"{count} tests need hosts in a box and did NOT run: {why_not()}")
