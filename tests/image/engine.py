#!/usr/bin/env python3
"""A container engine for one machine without one: `docker load` and `docker compose` over buildah and chroot.

Enough of it to install a bundle for real: images come from their archives, a service runs in its image's own
file system, in name spaces of its own (mounts, processes, network), as the compose file wants it: read-only,
unprivileged, with its volumes, its tmpfs and its settings. Services find each other by name and reach nothing
else; a published port is passed on. Not enforced: memory limits, seccomp, capabilities of uid 0.

Installed as `docker` on the PATH of `install.sh` by `delivery.sh`. State is kept under $ENGINE_STATE.
Needs root, buildah, iproute2, docker-compose (for reading the compose file) and PyYAML.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import yaml

STATE = Path(os.environ["ENGINE_STATE"])
BRIDGE = "172.30.0.1"


def run(*command: str | Path, **options) -> str:
    return subprocess.run(
        [str(part) for part in command], check=True, text=True, stdout=subprocess.PIPE, **options
    ).stdout.strip()


def load(archive: str) -> None:
    print("Loaded image:", run("buildah", "pull", "--quiet", f"docker-archive:{archive}"))


def services(project: str, file: str) -> dict[str, dict]:
    """The services of the profiles that .env names, with every variable put in."""
    settings = dict(
        line.split("=", 1) for line in (Path(project) / ".env").read_text().splitlines() if "=" in line
    )
    profiles = set(settings["COMPOSE_PROFILES"].split(","))
    text = run("docker-compose", "--project-directory", project, "-f", file, "config", cwd=project)
    return {
        name: service
        for name, service in yaml.safe_load(text)["services"].items()
        if profiles & set(service.get("profiles", ()))
    }


def up(project: str, file: str) -> None:
    down()
    STATE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["ip", "link", "add", "engine0", "type", "bridge"], check=False, stderr=subprocess.DEVNULL)
    subprocess.run(
        ["ip", "addr", "replace", f"{BRIDGE}/24", "dev", "engine0"], check=True, stdout=subprocess.DEVNULL
    )
    run("ip", "link", "set", "engine0", "up")
    names: dict[str, str] = {}
    ports: list[tuple[str, int, str, int]] = []
    wanted = services(project, file)
    for number, (name, service) in enumerate(wanted.items(), 10):
        address = f"172.30.0.{number}"
        names[name] = address
        for network in service["networks"].values():
            names |= dict.fromkeys((network or {}).get("aliases", ()), address)
        for port in service.get("ports", ()):
            host, published, target = port.split("/")[0].split(":")
            ports.append((host, int(published), address, int(target)))
    (STATE / "network.json").write_text(json.dumps({"names": names, "ports": ports}))
    spawn(STATE / "network.log", sys.executable, __file__, "network")
    for name, service in wanted.items():
        start(name, service, names[name])


def spawn(log: Path, *command: str | Path) -> None:
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=output, stderr=output, start_new_session=True
        )
    with (STATE / "pids").open("a") as pids:
        pids.write(f"{process.pid}\n")


def start(name: str, service: dict, address: str) -> None:
    """One container: file system, network, settings, process."""
    container = run("buildah", "from", "--pull-never", service["image"])
    with (STATE / "containers").open("a") as containers:
        containers.write(f"{container}\n")
    root = Path(run("buildah", "mount", container))
    config = json.loads(run("buildah", "inspect", "--type", "container", container))["Docker"]["config"]
    netns = f"engine-{name}"
    subprocess.run(["ip", "netns", "delete", netns], check=False, stderr=subprocess.DEVNULL)
    run("ip", "netns", "add", netns)
    link = f"e{address.split('.')[-1]}"
    run(
        "ip", "link", "add", link, "master", "engine0", "type", "veth", "peer", "name", "eth0", "netns", netns
    )
    run("ip", "link", "set", link, "up")
    for words in ("link set lo up", f"addr add {address}/24 dev eth0", "link set eth0 up"):
        run("ip", "-n", netns, *words.split())
    environment = dict(line.split("=", 1) for line in config["Env"])
    environment |= {key: str(value) for key, value in (service.get("environment") or {}).items()}
    script = [
        "set -eu",
        f"root={shlex.quote(str(root))}",
        "mount --make-rprivate /",
        'mount --bind "$root" "$root"',
        'mount -t proc -o nosuid,nodev,noexec proc "$root/proc"',
        'mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"',
        *(
            f'mknod -m 666 "$root/dev/{device}" c 1 {minor}'
            for device, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9))
        ),
        'mkdir -m 1777 "$root/dev/shm"; ln -s /proc/self/fd "$root/dev/fd"',
        'ln -s /proc/self/fd/2 "$root/dev/stderr"',
        f'echo "nameserver {BRIDGE}" >"$root/etc/resolv.conf"',
    ]
    for volume in service.get("volumes", ()):
        source, target, *mode = volume.split(":")
        if not source.startswith("/"):  # a named volume outlives its containers
            folder = STATE / "volumes" / source
            if not folder.exists():
                folder.mkdir(parents=True)
                os.chown(folder, 10001, 10001)
            source = str(folder)
        script.append(f'mkdir -p "$root{target}"; mount --bind {shlex.quote(source)} "$root{target}"')
        if "ro" in mode[:1]:
            script.append(f'mount -o remount,bind,ro "$root{target}"')
    for entry in service.get("tmpfs", ()):
        target, _, options = entry.partition(":")
        script.append(f'mount -t tmpfs -o {options or "mode=1777"} tmpfs "$root{target}"')
    if service.get("read_only"):
        script.append('mount -o remount,bind,ro "$root"')
    user, _, group = service["user"].partition(":")
    command = service.get("command") or config["Cmd"]
    inner = f"cd {config['WorkingDir']} && exec {shlex.join(command)}"
    script.append(
        f'exec {shlex.join(privileges(user, group))} {shlex.join(assignments(environment))} sh -c "$0"'
    )
    script[-1] = script[-1].replace("exec ", 'exec chroot "$root" ', 1)
    (STATE / f"{name}.json").write_text(
        json.dumps({"netns": netns, "user": user, "group": group, "environment": environment})
    )
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    inside = ["ip", "netns", "exec", netns, *unshare, "bash", "-c", "\n".join(script), inner]
    spawn(STATE / f"{name}.log", *inside)


def privileges(user: str, group: str) -> list[str]:
    return [
        "/usr/bin/setpriv",
        f"--reuid={user}",
        f"--regid={group}",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
        "--inh-caps=-all",
    ]


def assignments(environment: dict[str, str]) -> list[str]:
    return ["env", "-i", *(f"{key}={value}" for key, value in environment.items())]


def execute(name: str, command: list[str]) -> int:
    """Run a command in a service's own name spaces and file system."""
    kept = json.loads((STATE / f"{name}.json").read_text())
    pid = process_in(kept["netns"])
    enter = ["nsenter", f"--target={pid}", "--mount", "--net", "--pid", "--root", "--wd"]
    who = privileges(kept["user"], kept["group"])
    return subprocess.run([*enter, *who, *assignments(kept["environment"]), *command]).returncode


def process_in(netns: str, seconds: float = 20) -> int:
    """A process of the container whose root is the image's, once it has got there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for pid in run("ip", "netns", "pids", netns).split():
            try:
                if str(Path(f"/proc/{pid}/root").readlink()) != "/":
                    return int(pid)
            except OSError:
                continue
        time.sleep(0.1)
    sys.exit(f"nothing runs in {netns}")


def down() -> None:
    """Stop what runs; volumes stay."""
    for pid in read_lines("pids"):
        try:
            os.killpg(int(pid), signal.SIGTERM)
        except ProcessLookupError:
            continue
    if read_lines("pids"):
        time.sleep(2)
    for container in read_lines("containers"):
        subprocess.run(["buildah", "rm", container], check=False, stdout=subprocess.DEVNULL)
    for name in ("pids", "containers"):
        (STATE / name).unlink(missing_ok=True)


def read_lines(name: str) -> list[str]:
    path = STATE / name
    return path.read_text().split() if path.exists() else []


async def network() -> None:
    """Answer for the services' names, and pass published ports on. Every other name does not exist."""
    known = json.loads((STATE / "network.json").read_text())
    loop = asyncio.get_running_loop()

    class Names(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.DatagramTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
            labels, at = [], 12
            while data[at]:
                labels.append(data[at + 1 : at + 1 + data[at]].decode())
                at += 1 + data[at]
            question, kind = data[12 : at + 5], struct.unpack(">H", data[at + 1 : at + 3])[0]
            address = known["names"].get(".".join(labels))
            found = b""
            if address and kind == 1:
                found = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 5, 4) + socket.inet_aton(address)
            flags = 0x8180 if address else 0x8183
            head = data[:2] + struct.pack(">HHHHH", flags, 1, bool(found), 0, 0)
            self.transport.sendto(head + question + found, peer)

    await loop.create_datagram_endpoint(Names, local_addr=(BRIDGE, 53))

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    for host, published, address, target in known["ports"]:

        async def pass_on(
            reader: asyncio.StreamReader,
            writer: asyncio.StreamWriter,
            address: str = address,
            target: int = target,
        ) -> None:
            there, back = await asyncio.open_connection(address, target)
            await asyncio.gather(copy(reader, back), copy(there, writer))

        await asyncio.start_server(pass_on, host, published)
    await asyncio.Event().wait()


def compose(arguments: list[str]) -> int:
    options: dict[str, str] = {}
    while arguments[0].startswith("-"):
        options[arguments[0]] = arguments[1]
        arguments = arguments[2:]
    command, *rest = arguments
    if command == "up":
        up(options["--project-directory"], options["-f"])
    elif command == "exec":
        _, name, *words = rest
        return execute(name, words)
    elif command == "logs":
        for log in sorted(STATE.glob("*.log")):
            print(f"--- {log.stem}\n{log.read_text()[-4000:]}")
    elif command == "down":
        down()
    elif command != "version":
        sys.exit(f"engine.py knows no compose command {command}")
    return 0


def main() -> int:
    command, *rest = sys.argv[1:]
    if command == "load":
        load(rest[rest.index("--input") + 1])
    elif command == "compose":
        return compose(rest)
    elif command == "network":
        asyncio.run(network())
    else:
        sys.exit(f"engine.py knows no command {command}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
