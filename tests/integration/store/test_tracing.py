"""What became of one event, in each table that tells; the statements are right for every worker."""

from datetime import UTC, datetime
from uuid import uuid4

from schemas.ids import instant_of, new_id
from streams.store.database import Database
from streams.store.tracing import (
    audit_row_of,
    delivery_rows_of,
    firing_row_of,
    notification_row_of,
    outbox_row_of,
    relay_state,
    successor_rows_of,
)
from tests.reminder_world import make_users


async def test_a_notification_is_told_with_its_deliveries_and_without_its_words(
    database: Database,
) -> None:
    told, event, channel = uuid4(), new_id(), uuid4()
    (user,) = await make_users(database, 1)
    await database.fetch(
        """INSERT INTO notifications (id, user_id, event_id, type, title, body)
           VALUES ($1, $2, $3, 't', 'secret', 'secret')""",
        told,
        user,
        event,
    )
    await database.fetch(
        """INSERT INTO channels (id, user_id, kind, name, event_types)
           VALUES ($1, $2, 'webhook', 'n', '{}')""",
        channel,
        user,
    )
    await database.fetch(
        """INSERT INTO deliveries (id, channel_id, user_id, notification_id, event_id, event_type,
                                   event)
           VALUES ($1, $2, $3, $4, $5, 't', 'secret')""",
        uuid4(),
        channel,
        user,
        told,
        event,
    )
    found = await notification_row_of(database, told)
    assert found is not None
    assert "secret" not in str(found)
    assert [one["state"] for one in _rows(found)] == ["waiting"]
    by_event = await delivery_rows_of(database, event)
    assert by_event is not None
    assert _rows(by_event) == _rows(found)


async def test_of_an_event_without_effects_there_is_nothing(database: Database) -> None:
    """Also of an id that tells no instant."""
    for event in (new_id(), uuid4()):
        assert await notification_row_of(database, event) is None
        assert await delivery_rows_of(database, event) is None
        assert await firing_row_of(database, event) is None
        assert await audit_row_of(database, event) is None
        assert await successor_rows_of(database, event) == []
        assert await outbox_row_of(database, event) is None
    relay = await relay_state(database)
    assert (relay.leads, relay.expires_at, relay.places) == (False, None, {})


def test_the_instant_of_an_id_is_when_it_was_made() -> None:
    made_at = instant_of(new_id())
    assert made_at is not None
    assert abs((datetime.now(UTC) - made_at).total_seconds()) < 1
    assert instant_of(uuid4()) is None


def _rows(found: object) -> list[dict[str, object]]:
    assert isinstance(found, dict)
    rows = found["deliveries"]
    assert isinstance(rows, list)
    return rows
