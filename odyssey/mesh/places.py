"""What the system says no to when somebody wants to listen, and asking it before.

Promises: each refusal comes with what helps.
Never: keeps a socket open, or needs ZeroMQ.
"""

from __future__ import annotations

import errno
import os
import socket

from odyssey.errors import Fault, OdysseyError, Remedy


class CannotListen(OdysseyError):
    fault = Fault.MACHINE
    remedy = Remedy.FIX


class PortTaken(CannotListen):
    """By another program."""


class NoSuchAddress(CannotListen):
    """This machine does not have it, or not yet."""


def refused(host: str, port: int, number: int | None) -> CannotListen:
    why = os.strerror(number).lower() if number is not None else "the system says no"
    text = f"cannot listen on {host}, port {port}: {why}"
    if number == errno.EADDRINUSE:
        return PortTaken(text, hint="another program has it; take other ports: odyssey up --listen 0.0.0.0:7670")
    if number in (errno.EADDRNOTAVAIL, errno.ENODEV):
        return NoSuchAddress(text, hint="listen on what this machine has: odyssey up --listen 0.0.0.0:7660")
    if number == errno.EACCES:
        return CannotListen(text, hint="ports below 1024 are for root: odyssey up --listen 0.0.0.0:7660")
    return CannotListen(text, hint="listen somewhere else: odyssey up --listen 0.0.0.0:7660")


def probe(host: str, port: int) -> int:
    """The port, if somebody could listen there just now; 0: one that is free. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as who listens will
            sock.bind(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)[0][4])
            taken: int = sock.getsockname()[1]
            return taken
    except OSError as error:
        raise refused(host, port, error.errno) from error
