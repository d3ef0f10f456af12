"""A plain Faust app, without anything of ours, that prints what its agent is given.

`python faust_probe.py MODE TOPIC GROUP BROKER` runs it until it is ended.
"""

import os
import sys
import tempfile

import faust
from faust.types import StreamT

MODE, TOPIC, GROUP, BROKER = sys.argv[1:5]

app = faust.App(
    GROUP,
    broker=f"kafka://{BROKER}",
    consumer_auto_offset_reset="earliest",
    broker_commit_interval=0.2,
    broker_session_timeout=3.0,
    broker_heartbeat_interval=0.5,
    topic_allow_declare=False,
    topic_disable_leader=True,
    web_enabled=False,
    datadir=tempfile.mkdtemp(),
)
SERIALIZER = "json" if MODE == "json" else "raw"
topic = app.topic(TOPIC, value_serializer=SERIALIZER, key_serializer="raw")


def show(*words: object) -> None:
    """Write at once, past Faust's redirection of prints into its log."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def plainly(stream: StreamT[bytes]) -> None:
    """Fail at the value `bad`, as an agent with a bug does."""
    async for event in stream.events():
        show("got", event.message.offset)
        if event.value == b"bad":
            raise RuntimeError("a bug in an agent")


async def in_batches(stream: StreamT[bytes]) -> None:
    """Take batches and ack nothing."""
    async for events in stream.noack_take(100, within=0.05):  # type: ignore[attr-defined]
        for event in events:
            show("got", event.message.offset)


app.agent(topic, name="probe")(in_batches if MODE == "noack" else plainly)


async def committed() -> None:
    """Show how far Faust has committed."""
    # Only the consumer's class has it, and only its interface has a type.
    offsets = app.consumer._committed_offset  # type: ignore[attr-defined]
    show("committed", {tp.partition: offset for tp, offset in offsets.items()}.get(0))


app.timer(interval=0.2)(committed)


if __name__ == "__main__":
    sys.argv[1:] = ["worker", "-l", "error", "--without-web"]
    app.main()
