"""The brokers' clock: Kafka has no request for it, but its quorum tells when it was last caught up.

Of its leader that is now, by the leader's own clock (DescribeQuorum, KIP-595 and KIP-836).
"""

from time import time

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

_API_KEY = 55
_TOPIC = "__cluster_metadata"


def _replicas() -> CompactArray:
    return CompactArray(
        ("replica_id", Int32),
        ("log_end_offset", Int64),
        ("last_fetch_timestamp", Int64),
        ("last_caught_up_timestamp", Int64),
        ("tags", TaggedFields),
    )


class _Response(Response):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = _API_KEY
    API_VERSION = 1
    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "topics",
            CompactArray(
                ("topic_name", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition_index", Int32),
                        ("error_code", Int16),
                        ("leader_id", Int32),
                        ("leader_epoch", Int32),
                        ("high_watermark", Int64),
                        ("current_voters", _replicas()),
                        ("observers", _replicas()),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Struct(RequestStruct):  # type: ignore[misc]  # aiokafka is untyped
    FLEXIBLE_VERSION = True
    API_KEY = _API_KEY
    API_VERSION = 1
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic_name", CompactString("utf-8")),
                ("partitions", CompactArray(("partition_index", Int32), ("tags", TaggedFields))),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _DescribeQuorum(Request[_Struct]):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = _API_KEY

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        return request_struct_class([(_TOPIC, [(0, {})], {})], {})


async def controller_skew_s(admin: AIOKafkaAdminClient) -> float | None:
    """Give how far the controller's clock is ahead of this process's, to half of a round trip.

    None of brokers that do not tell: they know no such request, or do not allow it.
    """
    asked_at = time()
    try:
        response = await admin._send_request(_DescribeQuorum())  # noqa: SLF001 - it has no other door
    except (IncompatibleBrokerVersion, NotImplementedError):
        return None
    answered_at = time()
    for _, partitions, _ in response.topics:
        for _, _, leader, _, _, voters, _, _ in partitions:
            for replica, _, _, caught_up_ms, _ in voters:
                if replica == leader and caught_up_ms > 0:
                    return float(caught_up_ms / 1000 - (asked_at + answered_at) / 2)
    return None
