"""Topics on the brokers: created from our table, and looked up before they are used."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    KafkaError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from schemas.topics import TOPICS, Topic
from streams.transport.interface import (
    TopicState,
    TransportUnavailableError,
    UnknownTopicError,
)
from streams.transport.kafka.configs import alter_configs, describe_configs
from streams.transport.kafka.connection import Connection, answering
from streams.transport.kafka.quorum import controller_skew_s

MESSAGE_BYTES_MAX = 1_048_576
"""Of a topic that is none of ours: Kafka's own default."""
LOOK_S = 0.02


@dataclass(slots=True)
class Topics:
    """What one process knows of the topics; a number of partitions is asked for once."""

    connection: Connection
    _partitions: dict[str, int] = field(default_factory=dict)
    _limits: dict[str, int] = field(
        default_factory=lambda: {topic.name: topic.message_bytes_max for topic in TOPICS}
    )

    def message_bytes_max(self, topic: str) -> int:
        """Give the largest message that a topic takes."""
        return self._limits.get(topic, MESSAGE_BYTES_MAX)

    async def partitions(self, topic: str) -> int:
        """Give how many partitions a topic has; raise `UnknownTopicError` if there is none."""
        if topic not in self._partitions:
            name = self.connection.topic_name(topic)
            async with self._admin(f"looking up {topic}") as admin:
                (found,) = await admin.describe_topics([name])
            self._partitions[topic] = partitions_of(name, found)
        return self._partitions[topic]

    async def create(self, topics: Sequence[Topic]) -> Sequence[str]:
        """Create those that do not exist, and give their names."""
        self._limits |= {topic.name: topic.message_bytes_max for topic in topics}
        async with self._admin("creating topics") as admin:
            answer = await admin.create_topics([self._new_topic(topic) for topic in topics])
            errors = {name: for_code(code) for name, code, *_ in answer.topic_errors}
            created = [
                topic.name
                for topic in topics
                if _was_created(errors[self.connection.topic_name(topic.name)])
            ]
            for topic in created:
                await self._wait_until_known(admin, topic)
        return created

    async def describe(self, topics: Sequence[Topic]) -> Mapping[str, TopicState]:
        """Give what those are that exist, by name."""
        names = {self.connection.topic_name(topic.name): topic.name for topic in topics}
        async with self._admin("describing topics") as admin:
            found = {
                names[one["topic"]]: one
                for one in await admin.describe_topics(list(names))
                if for_code(one["error_code"]) is not UnknownTopicOrPartitionError
            }
            here = [self.connection.topic_name(name) for name in found]
            configs = await describe_configs(admin, here)
        return {
            name: TopicState(
                partitions=partitions_of(name, one),
                replication=min(len(part["replicas"]) for part in one["partitions"]),
                configs=configs[self.connection.topic_name(name)],
            )
            for name, one in found.items()
        }

    async def alter(self, topics: Sequence[Topic]) -> None:
        """Give topics the settings of our table, and leave their other settings as they are."""
        replication = self.connection.settings.kafka_replication
        wanted = {
            self.connection.topic_name(topic.name): topic.configs(replication) for topic in topics
        }
        async with self._admin("altering topics") as admin:
            await alter_configs(admin, wanted)
        self._limits |= {topic.name: topic.message_bytes_max for topic in topics}

    async def clock_skew_s(self) -> float | None:
        """Give how far the controller's clock is ahead of ours; None if it is not told."""
        async with self._admin("asking for the clock") as admin:
            return await controller_skew_s(admin)

    async def _wait_until_known(self, admin: AIOKafkaAdminClient, topic: str) -> None:
        """Wait until the brokers know what their controller has created, which takes a moment."""
        name = self.connection.topic_name(topic)
        while True:
            (found,) = await admin.describe_topics([name])
            with suppress(UnknownTopicError, TransportUnavailableError):
                self._partitions[topic] = partitions_of(name, found)
                return
            await asyncio.sleep(LOOK_S)

    @asynccontextmanager
    async def _admin(self, what: str) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**self.connection.options())
        async with answering(what):
            try:
                await admin.start()
                await _know_controller(admin)
                yield admin
            finally:
                await admin.close()

    def _new_topic(self, topic: Topic) -> NewTopic:
        settings = self.connection.settings
        return NewTopic(
            self.connection.topic_name(topic.name),
            settings.kafka_partitions,
            settings.kafka_replication,
            topic_configs=topic.configs(settings.kafka_replication),
        )


def partitions_of(name: str, found: Mapping[str, Any]) -> int:
    """Count a topic's partitions in the brokers' answer, as aiokafka decodes it.

    Raises `UnknownTopicError`, and `TransportUnavailableError` where a later answer may be another.
    """
    error = for_code(found["error_code"])
    if error is UnknownTopicOrPartitionError:
        raise UnknownTopicError(f"there is no topic {name}: run `taskflow topics`")
    if error.errno or not found["partitions"]:
        raise TransportUnavailableError(f"looking up {name}: {error.message}")
    return len(found["partitions"])


async def _know_controller(admin: AIOKafkaAdminClient) -> None:
    """Wait until a broker names the controller: one that has just started may not know it yet.

    The client asks once, and would then fail with an error of its own.
    """
    client = admin._client  # noqa: SLF001 - it tells the controller nowhere else
    while client.cluster.controller is None:
        await client.force_metadata_update()
        await asyncio.sleep(LOOK_S)


def _was_created(error: type[KafkaError]) -> bool:
    if error is TopicAlreadyExistsError:
        return False
    if error.errno:
        raise TransportUnavailableError(f"creating topics: {error.message}: {error.description}")
    return True
