"""The last test of the run: after all the others, nothing had left the engine's networks."""

from __future__ import annotations


def test_no_packet_left_for_anywhere(egress_counter):
    assert egress_counter.read() == {"forwarded": 0, "to_host": 0}
