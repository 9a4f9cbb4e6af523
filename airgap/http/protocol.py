"""HTTP/1.1 as uvicorn speaks it, with a bound on the time that a request's head may take.

Without it a client that sends half a head and falls silent keeps its connection for ever.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0
"""Longest time from a connection, or from the first byte of a further request on it, to a whole head."""


class BoundedProtocol(H11Protocol):
    """Closes a connection whose request has not begun in time."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._bound_the_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._bound_the_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _bound_the_head(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
