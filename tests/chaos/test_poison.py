"""Messages that no worker can process, and a table that is gone: neither loses what is behind."""

from uuid import UUID

import httpx
import pytest

from schemas import codec
from schemas.topics import EVENT_BYTES_MAX, TASK_EVENTS
from streams.transport.interface import Message, Place
from tests.chaos.campaign import Campaign
from tests.chaos.ending import read_log
from tests.chaos.workload import Account, register
from tests.waiting import eventually

WAIT_S_MAX = 30.0


def envelope(user_id: UUID, **changes: object) -> bytes:
    """Give an envelope that is right but for the changes; None takes a member away."""
    members = {
        "specversion": "1.0",
        "id": "01890000-0000-7000-8000-000000000000",
        "source": "/somewhere",
        "type": "taskflow.task.created",
        "subject": "01890000-0000-7000-8000-000000000001",
        "time": "2027-01-01T00:00:00Z",
        "datacontenttype": "application/json",
        "partitionkey": str(user_id),
        "data": {"task": {}},
    }
    return codec.encode({k: v for k, v in (members | changes).items() if v is not None})


def poisons(user: UUID) -> dict[str, Message]:
    """Give one message of each kind that can never be processed."""
    key = str(user).encode()
    values = {
        "bad JSON": b'{"specversion": ',
        "not UTF-8": b"\xff\xfe",
        "a foreign type": envelope(user, type="com.example.thing"),
        "a missing field": envelope(user, id=None),
        "data without a task": envelope(user),
        "2 MiB": b'"' + b"x" * (2 * EVENT_BYTES_MAX) + b'"',
    }
    named = {name: Message(TASK_EVENTS.name, key, value) for name, value in values.items()}
    stranger = Message(TASK_EVENTS.name, b"someone-else", envelope(user), partition=0)
    return named | {"the wrong key": stranger}


async def create(campaign: Campaign, account: Account, title: str) -> None:
    async with httpx.AsyncClient(base_url=campaign.stack.api_url, trust_env=False) as client:
        response = await client.post(
            f"/api/{account.id}/tasks",
            json={"title": title},
            headers={"Authorization": f"Bearer {account.token}"},
        )
        assert response.status_code == httpx.codes.CREATED, response.text


async def account(campaign: Campaign) -> Account:
    async with httpx.AsyncClient(base_url=campaign.stack.api_url, trust_env=False) as client:
        return await register(client, "poison")


async def audited(campaign: Campaign, count: int) -> bool:
    rows = await campaign.database.fetch("SELECT id FROM audit_log")
    return len(rows) == count


@pytest.fixture
def small(campaign: Campaign) -> Campaign:
    for name in ("api", "relay", "audit"):
        campaign.stack.add(name)
    return campaign


async def test_poison_is_dead_lettered_byte_for_byte_and_stops_nothing(small: Campaign) -> None:
    """Each kind is in `task-events.dlq` with its place and error, and events around it are rows."""
    async with small.stack.running():
        user = await account(small)
        await create(small, user, "before")
        sent: dict[Place, tuple[str, Message]] = {}
        for name, message in poisons(user.id).items():
            sent[await small.transport.publish(message)] = name, message
        await create(small, user, "behind")
        await eventually(lambda: audited(small, 2), WAIT_S_MAX, "both events are audited")

        async def all_dead() -> bool:
            return len(await read_log(small.transport, TASK_EVENTS.dead_letters.name)) >= len(sent)

        await eventually(all_dead, WAIT_S_MAX, "every poison message is a dead letter")
    dead = await read_log(small.transport, TASK_EVENTS.dead_letters.name)
    assert len(dead) == len(sent)
    for record in dead:
        headers = {name: value.decode() for name, value in record.headers}
        place = Place(
            headers["dlq-topic"], int(headers["dlq-partition"]), int(headers["dlq-offset"])
        )
        name, message = sent.pop(place)
        assert (record.key, record.value) == (message.key, message.value), name
        assert headers["dlq-app"] == "audit"
        assert headers["dlq-error"], name
        print(f"{name}: {headers['dlq-error']}")


async def test_a_dropped_table_dead_letters_nothing(small: Campaign) -> None:
    """The worker waits, red, and goes on when the table is back (SQLSTATE 42P01)."""
    async with small.stack.running():
        worker = small.stack.children["audit"]
        user = await account(small)
        await small.database.fetch("ALTER TABLE audit_entries RENAME TO audit_entries_away")
        await create(small, user, "while the table is away")

        async def red() -> bool:
            return not await worker.is_ready()

        await eventually(red, WAIT_S_MAX, "the worker is red")
        await small.database.fetch("ALTER TABLE audit_entries_away RENAME TO audit_entries")
        await eventually(lambda: audited(small, 1), WAIT_S_MAX, "the event is audited")
        await eventually(worker.is_ready, WAIT_S_MAX, "the worker is ready again")
        assert worker.starts == 1
    assert await read_log(small.transport, TASK_EVENTS.dead_letters.name) == []
