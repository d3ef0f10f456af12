"""Comparing: what the brokers have against what the table of topics and the settings say; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.topics import Topic
from streams.transport.interface import TopicState


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that a topic has otherwise; `cure` says what to do where altering does not."""

    topic: str
    name: str
    wanted: str
    found: str
    cure: str | None = None

    @property
    def can_be_altered(self) -> bool:
        """Whether `taskflow topics apply` mends it."""
        return self.cure is None


def differences(
    topics: Sequence[Topic],
    found: Mapping[str, TopicState],
    *,
    partitions: int,
    replication: int,
) -> Sequence[Difference]:
    """Give all differences, topic by topic; a topic that is not there is one."""
    told: list[Difference] = []
    for topic in topics:
        state = found.get(topic.name)
        if state is None:
            told.append(Difference(topic.name, "topic", "there", "missing"))
            continue
        told += _shape(topic, state, partitions, replication)
        told += [
            Difference(topic.name, name, value, state.configs.get(name, "not told"))
            for name, value in topic.configs(replication).items()
            if state.configs.get(name) != value
        ]
    return told


def _shape(
    topic: Topic, state: TopicState, partitions: int, replication: int
) -> Sequence[Difference]:
    told = []
    if state.partitions != partitions:
        cure = (
            "is not altered, since another number would take users' events out of their order:"
            f" set KAFKA_PARTITIONS={state.partitions}"
        )
        told.append(
            Difference(topic.name, "partitions", str(partitions), str(state.partitions), cure)
        )
    if state.replication < replication:
        cure = "is not altered here: use the brokers' own tool, kafka-reassign-partitions"
        told.append(
            Difference(topic.name, "replication", str(replication), str(state.replication), cure)
        )
    return told
