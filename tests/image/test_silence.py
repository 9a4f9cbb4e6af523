"""The last of the run: after all the others, nothing had left the engine's networks."""

from __future__ import annotations

from tests.image.daemon import docker, run


def test_no_packet_left_for_anywhere(egress_counter):
    assert egress_counter.read() == {"forwarded": 0, "to_host": 0}


def test_one_that_leaves_would_have_been_counted(egress_counter, cpu_image):
    """Asked afterwards, so that it does not count: this machine, and an address that is nobody's."""
    host = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", "bridge")
    for place in (host, "198.51.100.1"):
        knock = ("timeout", "3", "bash", "-c", f": </dev/tcp/{place}/9")
        run("docker", "run", "--rm", cpu_image, *knock, check=False)
    assert all(egress_counter.read().values()), egress_counter.read()
