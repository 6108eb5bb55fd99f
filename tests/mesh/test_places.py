"""Asking whether one could listen, and what is said when not."""

from __future__ import annotations

import errno
import socket

import pytest

from odyssey.errors import lines
from odyssey.mesh.places import CannotListen, NoSuchAddress, PortTaken, probe, refused


def test_a_free_port_can_be_had_and_one_that_is_taken_cannot() -> None:
    free = probe("127.0.0.1", 0)
    assert probe("127.0.0.1", free) == free
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(PortTaken):
        probe("127.0.0.1", other.getsockname()[1])


def test_an_address_of_somebody_else_is_none_of_ours() -> None:
    with pytest.raises(NoSuchAddress):
        probe("203.0.113.7", 0)


@pytest.mark.parametrize(
    ("number", "kind", "helps"),
    [
        (errno.EADDRINUSE, PortTaken, "take other ports"),
        (errno.EADDRNOTAVAIL, NoSuchAddress, "0.0.0.0:7660"),
        (errno.EACCES, CannotListen, "ports below 1024 are for root"),
        (errno.EAFNOSUPPORT, CannotListen, "somewhere else"),
        (None, CannotListen, "somewhere else"),
    ],
)
def test_each_no_of_the_system_comes_with_what_helps(number: int | None, kind: type[CannotListen], helps: str) -> None:
    error = refused("10.0.0.1", 80, number)
    assert type(error) is kind
    said, hint = lines(error)
    assert said.startswith("error: cannot listen on 10.0.0.1, port 80: ")
    assert helps in str(hint)
