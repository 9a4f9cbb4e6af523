"""Counters in the host's packet filter: what containers send anywhere but to each other.

They stand behind every other rule, so that a packet which a rule drops is not counted: it did not leave.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.image.daemon import run

_TABLE = "airgap_ocr_test"
# Bridges of compose projects are called br-…, that of plain `docker run` docker0. `new`: answers through the
# published port are not egress.
_RULES = f"""
table inet {_TABLE} {{
    counter forwarded {{ }}
    counter to_host {{ }}
    set bridges {{
        type ifname; flags interval; elements = {{ "br-*", "docker0" }}
    }}
    chain forward {{
        type filter hook forward priority 300; policy accept;
        iifname @bridges oifname != @bridges ct state new counter name forwarded
    }}
    chain input {{
        type filter hook input priority 300; policy accept;
        iifname @bridges ct state new meta l4proto {{ tcp, udp }} counter name to_host
    }}
}}
"""


class Counter:
    """Packets that began inside: `forwarded` beyond this machine, `to_host` to this machine itself."""

    def read(self) -> dict[str, int]:
        listing = json.loads(run("nft", "--json", "list", "counters", "table", "inet", _TABLE).stdout)
        found = [entry["counter"] for entry in listing["nftables"] if "counter" in entry]
        return {counter["name"]: counter["packets"] for counter in found}


@contextmanager
def counting() -> Iterator[Counter]:
    run("nft", "delete", "table", "inet", _TABLE, check=False)
    run("nft", "-f", "-", input=_RULES)
    try:
        yield Counter()
    finally:
        run("nft", "delete", "table", "inet", _TABLE)
