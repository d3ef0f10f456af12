"""The topics and the websocket as one AsyncAPI 3.0 document."""

from collections.abc import Iterable, Sequence
from typing import Final

from schemas.codec import JsonObject
from schemas.events import CONTENT_TYPE, EVENTS
from schemas.frames import BEARER_PREFIX, FRAME_BYTES_MAX, HEARTBEAT_S, PROTOCOL, Close
from schemas.json_schema import SHAPES, definitions
from schemas.positions import POSITION_CHARS
from schemas.settings import Settings
from schemas.topics import ROUTES, SOURCES, TOPICS, Topic

KAFKA_BINDING, WS_BINDING = "0.5.0", "0.1.0"
OTHER: Final = "other"
"""The message that stands for events of a type without a fixed shape."""
DEAD_LETTER: Final = "dead-letter"
CLIENT_FRAMES = ("frame-ping", "frame-auth")
SERVER_FRAMES = ("frame-hello", "frame-resumed", "frame-event", "frame-pong", "frame-error")
_EVENT_TYPE = CONTENT_TYPE.decode()
_SHAPES = [SHAPES[name] for name in (*EVENTS, "envelope", *SERVER_FRAMES, *CLIENT_FRAMES)]


def asyncapi() -> JsonObject:
    """Give the document: what TaskFlow sends and receives, over Kafka and over the websocket.

    `send` and `receive` are TaskFlow's own: the relay and the gateway send, workers, the gateway's
    tail and a client's frames are received. Names of topics are those without a prefix.
    """
    return {
        "asyncapi": "3.0.0",
        "info": _INFO,
        "defaultContentType": _EVENT_TYPE,
        "servers": _SERVERS,
        "channels": {topic.name: _topic_channel(topic) for topic in TOPICS} | {"ws": _WS},
        "operations": _operations(),
        "components": {
            "messages": _messages(),
            "schemas": definitions(_SHAPES, "#/components/schemas/{model}"),
            "securitySchemes": {
                "accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


_INFO: JsonObject = {
    "title": "TaskFlow",
    "version": "1.0.0",
    "description": (
        "Every change of a task as a CloudEvents 1.0 envelope in structured JSON. Delivery is at "
        "least once, after a crash possibly again with the same id: drop an id that was seen. "
        "Events of one task come in version order, those of one user in real-time order."
    ),
    "license": {"name": "MIT"},
}

_SERVERS: JsonObject = {
    "kafka": {
        "host": "{bootstrap}",
        "protocol": "kafka",
        "description": (
            "The log; KAFKA_BOOTSTRAP_SERVERS says where it is. If KAFKA_TOPIC_PREFIX is set, it "
            "comes before each topic's name."
        ),
        "variables": {"bootstrap": {"default": "127.0.0.1:9092"}},
    },
    "gateway": {
        "host": "{address}",
        "protocol": "ws",
        "description": "The websocket gateway; GATEWAY_HOST and GATEWAY_PORT say where it is.",
        "variables": {"address": {"default": "127.0.0.1:8001"}},
        "security": [{"$ref": "#/components/securitySchemes/accessToken"}],
    },
}

_POSITION: JsonObject = {
    "type": "string",
    "description": "Where to go on from: the position of the last frame that was seen.",
    "minLength": POSITION_CHARS,
    "maxLength": POSITION_CHARS,
    "pattern": "^[A-Za-z0-9_-]+$",
}

_WS: JsonObject = {
    "address": "/ws",
    "title": "Every change, in every open browser",
    "description": (
        f"The protocol is {PROTOCOL}. A token comes by `Authorization: Bearer`, by "
        f"`Sec-WebSocket-Protocol: {PROTOCOL}, {BEARER_PREFIX}<token>` or in a first auth frame, "
        f"and never in the URL. A client's frame has at most {FRAME_BYTES_MAX} bytes. The gateway "
        f"pings every {HEARTBEAT_S} s. `x-close-codes` says which codes end a connection."
    ),
    "servers": [{"$ref": "#/servers/gateway"}],
    "messages": {
        name: {"$ref": f"#/components/messages/{name}"} for name in (*SERVER_FRAMES, *CLIENT_FRAMES)
    },
    "bindings": {
        "ws": {
            "method": "GET",
            "query": {"type": "object", "properties": {"position": _POSITION}},
            "headers": {
                "type": "object",
                "properties": {
                    "Authorization": {"type": "string", "pattern": "^[Bb]earer .+$"},
                    "Sec-WebSocket-Protocol": {"type": "string"},
                    "Origin": {"type": "string"},
                },
            },
            "bindingVersion": WS_BINDING,
        }
    },
    "x-close-codes": [
        {"code": close.code, "name": close.reason, "comes_back": close.comes_back}
        for close in Close
    ],
}

_KEY: JsonObject = {"type": "string", "format": "uuid", "description": "The user's id."}

_EVENT_HEADERS: JsonObject = {
    "content-type": {"type": "string", "const": _EVENT_TYPE},
    "epoch": {
        "type": "string",
        "pattern": "^[0-9]{1,19}$",
        "description": "Of the relay that sent it; one below the highest of a partition is late.",
    },
}

_DEAD_LETTER_HEADERS: JsonObject = {
    "dlq-app": {"type": "string", "description": "The worker that could not process it."},
    "dlq-topic": {"type": "string", "enum": [topic.name for topic in SOURCES]},
    "dlq-partition": {"type": "string", "pattern": "^[0-9]+$"},
    "dlq-offset": {"type": "string", "pattern": "^[0-9]+$"},
    "dlq-error": {"type": "string", "description": "Why it could not be processed."},
}

_DEAD_LETTER_NOTES: JsonObject = {
    "dlq-null": {
        "type": "string",
        "enum": ["key", "value"],
        "description": "What was null and not empty; it may come twice.",
    },
    "dlq-omitted-bytes": {
        "type": "string",
        "pattern": "^[0-9]+$",
        "description": "The size of a value that was too large to be taken along.",
    },
}


def _topic_channel(topic: Topic) -> JsonObject:
    settings = Settings.model_fields
    return {
        "address": topic.name,
        "title": topic.about,
        "description": _carried(topic),
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {
            name: {"$ref": f"#/components/messages/{name}"} for name in message_names(topic)
        },
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": settings["kafka_partitions"].default,
                "replicas": settings["kafka_replication"].default,
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "retention.ms": int(topic.retention.total_seconds() * 1000),
                    "max.message.bytes": topic.message_bytes_max,
                },
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def message_names(topic: Topic) -> Sequence[str]:
    """Name the messages that a topic carries: its events by their types, and what else there is."""
    if topic not in SOURCES:
        return (DEAD_LETTER,)
    prefixes = _prefixes(topic)
    return (*(type_ for type_ in EVENTS if type_.startswith(prefixes)), OTHER)


def _carried(topic: Topic) -> str:
    if topic not in SOURCES:
        return "In the partition of the message's own number, with its own key and headers."
    types = ", ".join(f"{prefix}*" for prefix in _prefixes(topic))
    return f"Keyed by user id, so that one user's events stay in order. Carries {types}."


def _prefixes(topic: Topic) -> tuple[str, ...]:
    return tuple(prefix for prefix, topics in ROUTES if topic in topics)


def _operations() -> JsonObject:
    """Give what TaskFlow does: each topic is written and read by it, and frames go both ways."""
    operations: JsonObject = {}
    for topic in TOPICS:
        names = message_names(topic)
        operations[f"send-{topic.name}"] = _operation("send", topic.name, names)
        operations[f"receive-{topic.name}"] = _operation("receive", topic.name, names)
    ping, auth = CLIENT_FRAMES
    pong = _operation("send", "ws", ["frame-pong"])
    answer = {"channel": pong["channel"], "messages": pong["messages"]}
    return operations | {
        "send-frames": _operation("send", "ws", SERVER_FRAMES),
        "receive-auth": _operation("receive", "ws", [auth]),
        "receive-ping": _operation("receive", "ws", [ping]) | {"reply": answer},
    }


def _operation(action: str, channel: str, names: Iterable[str]) -> JsonObject:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }


def _messages() -> JsonObject:
    frames = {
        name: {"name": name, "contentType": "application/json", "payload": _payload(name)}
        for name in (*SERVER_FRAMES, *CLIENT_FRAMES)
    }
    events = {type_: _event(type_, _payload(type_)) for type_ in EVENTS}
    other = _event("an event of a type that is not fixed: skip it", _payload("envelope"))
    return events | {OTHER: other, DEAD_LETTER: _dead_letter()} | frames


def _payload(shape: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{SHAPES[shape].model.__name__}"}


def _event(name: str, payload: JsonObject) -> JsonObject:
    return {
        "name": name,
        "contentType": _EVENT_TYPE,
        "headers": {
            "type": "object",
            "properties": _EVENT_HEADERS,
            "required": list(_EVENT_HEADERS),
        },
        "payload": payload,
        "bindings": {"kafka": {"key": _KEY, "bindingVersion": KAFKA_BINDING}},
    }


def _dead_letter() -> JsonObject:
    """Describe a message that could not be processed: its headers may lack those of an event."""
    return {
        "name": DEAD_LETTER,
        "summary": "A message that no worker can process, byte for byte.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": _DEAD_LETTER_HEADERS | _DEAD_LETTER_NOTES,
            "required": list(_DEAD_LETTER_HEADERS),
        },
        "payload": {"type": "string", "format": "binary"},
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": KAFKA_BINDING}},
    }
