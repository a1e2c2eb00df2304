"""RabbitMQ for tests: a broker that `EVNT_TEST_RABBITMQ` names, else a private node of an installed rabbitmq-server.

A private node has ports, a name, a cookie, an epmd and folders of its own, so that it meets no other node of the
machine; it is stopped by its own process ids.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from yarl import URL

from shared.settings import RabbitmqSettings, environment
from tests.ports import free_ports

#: A broker to use instead of a private node; everything that evnt names is deleted from its virtual host.
VARIABLE = "EVNT_TEST_RABBITMQ"

#: Who runs tests: one process, or each worker of pytest-xdist.
WORKERS = ("master", *(f"gw{n}" for n in range(8)))

#: Virtual hosts of a private node: two for each of them, for tests of the streams and for whole pipelines.
VHOSTS = (*WORKERS, *(f"pipeline-{worker}" for worker in WORKERS))

#: May publish and nothing else, as a collector's user in production.
PUBLISH_ONLY = "publish-only"

#: Seconds for a node to boot on a busy machine.
BOOT_S = 90

#: Debian's command of that name refuses every user but its own; the script behind it does not.
_SCRIPTS = (
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "/usr/local/sbin/rabbitmq-server",
    "/opt/rabbitmq/sbin/rabbitmq-server",
)


class BrokerAbsent(Exception):
    """No broker for tests; the message says what would give one."""


@dataclass(frozen=True)
class Address:
    """Where a broker for tests listens."""

    host: str
    port: int
    username: str = "guest"
    password: str = "guest"
    virtualhost: str | None = None

    def settings(self, vhost: str) -> RabbitmqSettings:
        """How to reach it; its own virtual host, when it has one, goes before `vhost`."""
        return RabbitmqSettings.model_validate(
            {
                "host": self.host,
                "port": self.port,
                "username": self.username,
                "password": self.password,
                "virtualhost": self.virtualhost or vhost,
            }
        )


def named() -> Address | None:
    """The broker that the environment names."""
    value = environment().get(VARIABLE)
    if not value:
        return None
    url = URL(value)
    vhost = url.path.removeprefix("/").replace("%2F", "/") or "/"
    return Address(url.host or "127.0.0.1", url.port or 5672, url.user or "guest", url.password or "guest", vhost)


def server() -> Path:
    """The script of an installed RabbitMQ that anybody may run."""
    found = shutil.which("rabbitmq-server")
    places = [place for place in (*_SCRIPTS, found) if place and Path(place).exists()]
    if not places or not shutil.which("epmd"):
        raise BrokerAbsent(
            f"no RabbitMQ: install rabbitmq-server, or name a broker in {VARIABLE} (amqp://user:password@host:port/vhost)"
        )
    return Path(places[0])


class Node:
    """A private node, its data kept in `folder` across stops, kills and starts."""

    def __init__(self, folder: Path) -> None:
        self._server = server()
        self._folder = folder
        self.port, self._distribution_port, self._epmd_port = free_ports(3)
        self._name = f"evnt-test-{os.getpid()}-{self.port}@localhost"
        self._epmd: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._prepare()

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.port)

    def start(self) -> None:
        """Boot, and return when it takes connections."""
        epmd = ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"]
        self._epmd = self._epmd or self._spawn(epmd)
        self._process = self._spawn([str(self._server)])
        deadline = time.monotonic() + BOOT_S
        while not _listens(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"RabbitMQ did not start: {(self._folder / 'output.log').read_text()[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """As an operator does: close connections, flush, end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As a power cut does, as far as a process can."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End the node and everything that was started for it."""
        self.kill()
        if self._epmd:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None

    def ctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl` against the node."""
        done = subprocess.run(
            [str(self._server.with_name("rabbitmqctl")), "-n", self._name, *arguments],
            env=self._environment(), capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout

    def block_publishers(self) -> None:
        """Raise the memory alarm: the node stops reading from publishing connections."""
        self.ctl("set_vm_memory_high_watermark", "absolute", "1")

    def unblock_publishers(self) -> None:
        self.ctl("set_vm_memory_high_watermark", "0.6")

    def pids(self) -> list[int]:
        """Leaders of the process groups that belong to the node."""
        return [process.pid for process in (self._process, self._epmd) if process]

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if number == signal.SIGTERM:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(BOOT_S)
        end_group(self._process.pid)
        self._process.wait()
        self._process = None
        self._wait_for_silence()

    def _wait_for_silence(self) -> None:
        """The group's leader is a script: what listens may die later, and must not be taken for the next start."""
        deadline = time.monotonic() + BOOT_S
        while _listens(self.port):
            if time.monotonic() > deadline:
                raise RuntimeError(f"RabbitMQ still listens on {self.port} after its end")
            time.sleep(0.05)

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._folder / "output.log").open("ab") as output:
            return subprocess.Popen(
                command, env=self._environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                cwd=self._folder, start_new_session=True,
            )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        folder = self._folder
        return {
            "PATH": environment().get("PATH", "/usr/bin:/bin:/usr/sbin:/sbin"),
            "HOME": str(folder),  # holds the cookie
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self._name,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "absent.config"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "absent.conf"),
        }

    def _prepare(self) -> None:
        for name in ("data", "log"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "plugins").write_text("[].")
        (self._folder / "definitions.json").write_text(json.dumps(_definitions()))
        lines = (
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            f"load_definitions = {self._folder / 'definitions.json'}",
            "disk_free_limit.absolute = 1MB",
            "log.file.level = warning",
        )
        (self._folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")


@contextmanager
def private_node(folder: Path) -> Iterator[Node]:
    """A running node that a test may stop, kill and block."""
    node = Node(folder)
    try:
        node.start()
        yield node
    finally:
        node.close()


def shared_node(folder: Path) -> tuple[Address, Node | None]:
    """The one node of a test run, started by the first worker that asks, who must keep the node that it gets.

    `end_shared_node` ends it, when no worker needs it any more.
    """
    file = folder / "node.json"
    with (folder / "node.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if file.exists():
            return Address("127.0.0.1", json.loads(file.read_text())["port"]), None
        node = Node(folder / "node")
        try:
            node.start()
        except BaseException:
            node.close()
            raise
        file.write_text(json.dumps({"port": node.port, "pids": node.pids()}))
        return node.address, node


def end_shared_node(folder: Path) -> None:
    """End what `shared_node` started, if it did."""
    file = folder / "node.json"
    if file.exists():
        for pid in json.loads(file.read_text())["pids"]:
            end_group(pid)
    shutil.rmtree(folder, ignore_errors=True)


def end_group(leader: int) -> None:
    """SIGKILL a process group of ours."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def variables(settings: RabbitmqSettings) -> Mapping[str, str]:
    """The environment that makes a process of evnt use this broker."""
    values = {**settings.model_dump(include={"host", "port", "username", "virtualhost"})}
    values["password"] = settings.password.get_secret_value()
    named_values = {f"EVNT_INGEST__RABBITMQ__{name.upper()}": str(value) for name, value in values.items()}
    return {"EVNT_INGEST__MODE": "rabbitmq", **named_values}


def _definitions() -> dict[str, object]:
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    publishing = {"configure": "^$", "write": ".*", "read": "^$"}
    return {
        "users": [
            {"name": "guest", "password": "guest", "tags": ["administrator"]},
            {"name": PUBLISH_ONLY, "password": PUBLISH_ONLY, "tags": []},
        ],
        "vhosts": [{"name": name} for name in VHOSTS],
        "permissions": [
            {"user": user, "vhost": vhost, **rights}
            for vhost in VHOSTS
            for user, rights in (("guest", everything), (PUBLISH_ONLY, publishing))
        ],
    }


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
