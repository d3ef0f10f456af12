"""An instance: the servers that were not given, their secrets, and what each process needs."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from schemas.settings import Settings
from streams.embedded.files import read_secret, write_whole
from streams.embedded.jars import Progress
from streams.embedded.kafka import KafkaServer
from streams.embedded.leftovers import end_leftovers, mark_children
from streams.embedded.lock import hold_lock
from streams.embedded.ports import require_free
from streams.embedded.postgres import PostgresServer

DATABASE = "taskflow"
PARTITIONS = 4
"""Of each topic on the embedded broker: as many as one small machine has use for."""

Server = KafkaServer | PostgresServer


@dataclass(frozen=True, slots=True)
class Instance:
    """The servers run; `settings` has all that was not given, and every process gets it."""

    settings: Settings
    servers: Mapping[str, Server]

    def environment(self) -> Mapping[str, str]:
        """Give what the processes need to know beside their own settings."""
        secret = self.settings.jwt_secret
        smtp_url = self.settings.smtp_url
        keys = ",".join(key.get_secret_value() for key in self.settings.channel_keys)
        return {
            "DATABASE_URL": self.settings.required_database_url(),
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.required_bootstrap_servers(),
            "KAFKA_PARTITIONS": str(self.settings.kafka_partitions),
            "JWT_SECRET": secret.get_secret_value() if secret else "",
            "CHANNEL_KEYS": keys,
            "SMTP_URL": smtp_url.get_secret_value() if smtp_url else "",
        }


@contextmanager
def open_instance(settings: Settings, progress: Progress) -> Iterator[Instance]:
    """Start the servers that the settings do not name, and stop them with the context.

    Everything that can be refused is looked at first: another instance, what a killed one has left,
    ports, space, versions. Raises `EmbeddedError` with one sentence, and then nothing runs.
    """
    directory = settings.data_dir
    with ExitStack() as resources:
        resources.enter_context(hold_lock(directory))
        end_instance_leftovers(directory)
        require_free(settings.api_port, "API_PORT", settings.api_host)
        require_free(settings.gateway_port, "GATEWAY_PORT", settings.gateway_host)
        mark_children(directory)
        # Last of all: whatever a step that was interrupted has left.
        resources.callback(end_instance_leftovers, directory)
        postgres = None if settings.database_url else PostgresServer(directory / "postgres")
        kafka = _kafka(directory) if settings.kafka_bootstrap_servers is None else None
        if postgres is not None:
            postgres.prepare()
        if kafka is not None:
            kafka.prepare(progress)
        servers = _named(postgres, kafka)
        for server in servers.values():
            resources.callback(server.stop)
        _start(list(servers.values()))
        filled = _filled(settings, postgres, kafka)
        resources.callback((directory / "env").unlink, missing_ok=True)
        instance = Instance(filled, servers)
        lines = [f"{name}={value}\n" for name, value in instance.environment().items()]
        write_whole(directory / "env", "".join(lines))
        yield instance


def end_instance_leftovers(directory: Path) -> int:
    """End what an instance whose supervisor was killed has left; give how many processes."""
    return end_leftovers(directory) + PostgresServer(directory / "postgres").end_leftover()


def _kafka(directory: Path) -> KafkaServer:
    return KafkaServer(directory / "kafka", directory / "jars")


def _named(postgres: PostgresServer | None, kafka: KafkaServer | None) -> Mapping[str, Server]:
    servers: dict[str, Server] = {}
    if postgres is not None:
        servers["postgres"] = postgres
    if kafka is not None:
        servers["kafka"] = kafka
    return servers


def _start(servers: Sequence[Server]) -> None:
    with ThreadPoolExecutor(max_workers=2) as pool:
        for started in [pool.submit(server.start) for server in servers]:
            started.result()


def _filled(
    settings: Settings, postgres: PostgresServer | None, kafka: KafkaServer | None
) -> Settings:
    update: dict[str, object] = {}
    if postgres is not None:
        update["database_url"] = SecretStr(postgres.make_database(DATABASE))
    if kafka is not None:
        update["kafka_bootstrap_servers"] = kafka.bootstrap_servers
        if "kafka_partitions" not in settings.model_fields_set:
            update["kafka_partitions"] = PARTITIONS
    if settings.jwt_secret is None:
        update["jwt_secret"] = SecretStr(read_secret(settings.data_dir / "jwt_secret"))
    if not settings.channel_keys:
        update["channel_keys"] = (SecretStr(read_secret(settings.data_dir / "channel_key")),)
    if settings.smtp_url is None:
        update["smtp_url"] = SecretStr(f"file:{(settings.data_dir / 'mails').absolute()}")
    return settings.model_copy(update=update)
