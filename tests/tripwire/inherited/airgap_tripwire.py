"""The wire itself: an audit hook that refuses and records every attempt to leave this machine.

Allowed: addresses of the loopback interface, Unix sockets, numeric addresses in look-ups (nothing is
asked of anyone), and this machine's own name. What Python's `socket` module does not see, it does not
see either: C libraries that open sockets of their own. For those there is `make test-offline`, which
watches the system calls of the whole process tree.

Standard library only: it is loaded by every Python process that a test starts.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import traceback
from typing import Any

REPORT = "AIRGAP_TRIPWIRE_REPORT"  # a file; one line for each attempt
_ADDRESSED = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_LOOKUPS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}
_OWN_NAMES = {"", "localhost", "localhost.localdomain", "ip6-localhost", socket.gethostname()}


class Tripped(OSError):
    """Something tried to reach beyond the loopback interface."""


def is_local_address(host: str) -> bool:
    """Loopback, or the unspecified address, which a connection takes for loopback."""
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return host in _OWN_NAMES
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_unspecified


def is_local_name(host: str) -> bool:
    """A name that is resolved without asking anyone: this machine's own, or a numeric address."""
    try:
        ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return host.removesuffix(".") in _OWN_NAMES
    return True


def _target(event: str, arguments: tuple[Any, ...]) -> str | None:
    """What the event reaches for, when that is not this machine."""
    if event in _ADDRESSED:
        address = arguments[1]
        if not isinstance(address, tuple) or not isinstance(address[0], str):
            return None  # a Unix socket, or a socket that is connected already
        return None if is_local_address(address[0]) else f"{address[0]}:{address[1]}"
    host = arguments[0][0] if event == "socket.getnameinfo" else arguments[0]
    if isinstance(host, bytes):
        host = host.decode("idna", "replace")
    return None if host is None or is_local_name(host) else str(host)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _ADDRESSED and event not in _LOOKUPS:
        return
    target = _target(event, arguments)
    if target is None:
        return
    stack = traceback.extract_stack(limit=8)[:-1]
    where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(stack))
    line = f"pid {os.getpid()} {event} {target} from {where}\n"
    report = os.environ.get(REPORT)
    if report:
        descriptor = os.open(report, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, line.encode("utf-8", "replace"))
        os.close(descriptor)
    raise Tripped(f"tripwire: {event} {target}")


def arm() -> None:
    """From now on, in this process, for good: an audit hook cannot be taken away."""
    if not getattr(sys, "_airgap_tripwire", False):
        sys._airgap_tripwire = True  # type: ignore[attr-defined]
        sys.addaudithook(_hook)
