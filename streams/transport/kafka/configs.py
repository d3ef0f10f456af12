"""Topics' settings on the brokers: read, and altered one by one.

aiokafka's own `alter_configs` replaces all settings of a topic, those that it is not given too;
IncrementalAlterConfigs (KIP-339) leaves them alone.
"""

from collections.abc import Mapping, Sequence

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

from streams.transport.interface import TransportUnavailableError, UnknownTopicError

_API_KEY = 44
_SET = 0


class _Response(Response):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = _API_KEY
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "responses",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class _Struct(RequestStruct):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = _API_KEY
    API_VERSION = 0
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(
                        ("name", String("utf-8")),
                        ("config_operation", Int8),
                        ("value", String("utf-8")),
                    ),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class _IncrementalAlterConfigs(Request[_Struct]):  # type: ignore[misc]  # aiokafka is untyped
    API_KEY = _API_KEY

    def __init__(self, wanted: Mapping[str, Mapping[str, str]]) -> None:
        self._wanted = wanted

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        resources = [
            (
                int(ConfigResourceType.TOPIC),
                topic,
                [(name, _SET, value) for name, value in configs.items()],
            )
            for topic, configs in self._wanted.items()
        ]
        return request_struct_class(resources, False)


async def alter_configs(
    admin: AIOKafkaAdminClient, wanted: Mapping[str, Mapping[str, str]]
) -> None:
    """Set these settings of these topics."""
    if not wanted:
        return
    # As aiokafka's own alter_configs does; brokers forward it to their controller.
    response = await admin._send_request(_IncrementalAlterConfigs(wanted))  # noqa: SLF001
    for code, message, _, name in response.responses:
        error = for_code(code)
        if error is UnknownTopicOrPartitionError:
            raise UnknownTopicError(f"there is no topic {name}: run `taskflow topics`")
        if code:
            raise TransportUnavailableError(f"altering {name}: {error.__name__}: {message}")


async def describe_configs(
    admin: AIOKafkaAdminClient, topics: Sequence[str]
) -> Mapping[str, Mapping[str, str]]:
    """Give all settings of topics that exist."""
    if not topics:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
    found: dict[str, Mapping[str, str]] = {}
    for response in await admin.describe_configs(resources):
        for code, message, _, name, entries in response.resources:
            if code:
                raise TransportUnavailableError(f"describing {name}: {message}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found
