"""Explaining: the way of one event through outbox, topics, ledger, dead letters and effects."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from schemas import codec
from schemas.ids import instant_of
from schemas.topics import SOURCES
from streams.effects.dead_letters import event_id_of
from streams.effects.lookup import Search, records_between
from streams.effects.worker import Worker
from streams.store.database import Database
from streams.store.dead_letters import DeadLetter, dead_letters_of_event
from streams.store.offsets import all_offsets
from streams.store.pauses import find_pause
from streams.store.tracing import InOutbox, Relay, outbox_row_of, relay_state
from streams.transport.interface import Record, Transport, UnknownTopicError

BEFORE_MS = 5_000
"""A relay whose clock is behind the API's by so much is still found."""
RECORDS_MAX = 200_000
"""So many of each topic are looked through, about 20 s."""


@dataclass(frozen=True, slots=True)
class Found:
    """A record of the event's, and whether this app knows its type."""

    topic: str
    partition: int
    offset: int
    published_at: datetime
    type_is_known: bool


@dataclass(frozen=True, slots=True)
class Way:
    """All that is known of one event, for one app."""

    event_id: UUID
    made_at: datetime | None
    outbox: InOutbox | None
    relay: Relay
    found: Sequence[Found]
    ledger: Mapping[int, int]
    paused: bool
    dead: Sequence[DeadLetter]
    effects: Mapping[str, object] | None


async def way_of(
    worker: Worker,
    database: Database,
    transport: Transport,
    event_id: UUID,
    within_s: int,
) -> Way:
    """Look an event up everywhere; in the log, among what came within so long after its making."""
    made_at = instant_of(event_id)
    return Way(
        event_id=event_id,
        made_at=made_at,
        # The outbox first: what leaves it meanwhile is found in the log.
        outbox=await outbox_row_of(database, event_id),
        relay=await relay_state(database),
        found=await _find(worker, transport, event_id, made_at, within_s) if made_at else (),
        ledger=await all_offsets(database, worker.app, worker.topic.name),
        paused=await find_pause(database, worker.app) is not None,
        dead=await dead_letters_of_event(database, event_id),
        effects=await worker.trace(database, event_id) if worker.trace else None,
    )


async def _find(
    worker: Worker, transport: Transport, event_id: UUID, made_at: datetime, within_s: int
) -> Sequence[Found]:
    at_ms = int(made_at.timestamp() * 1000)
    search = Search(at_ms - BEFORE_MS, at_ms + within_s * 1000, RECORDS_MAX)
    needle = str(event_id).encode()
    found: list[Found] = []
    for topic in SOURCES:
        # One that was never made holds nothing; `taskflow doctor` tells of it.
        with suppress(UnknownTopicError):
            async for page in records_between(transport, topic.name, search):
                found += [
                    _found(worker, record)
                    for record in page
                    if needle in (record.value or b"") and event_id_of(record.value) == event_id
                ]
    return found


def _found(worker: Worker, record: Record) -> Found:
    known = codec.decode(record.value or b"{}").get("type") in worker.types
    at = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    return Found(record.topic, record.partition, record.offset, at, known)


def sentences_of(way: Way, worker: Worker) -> Sequence[str]:
    """Tell the way in sentences, from the outbox to the effects."""
    told = [_about_outbox(way), *_about_log(way)]
    told += [_about_ledger(way, worker, place) for place in way.found if _is_own(worker, place)]
    if way.found and not any(_is_own(worker, place) for place in way.found):
        told.append(f"{worker.app} reads {worker.topic.name}, and no record of it is there")
    told += [
        f"dead letter #{letter.id} of {letter.app}, {letter.state}: {letter.error}"
        for letter in way.dead
    ]
    told.append(_about_effects(way, worker))
    return told


def _is_own(worker: Worker, place: Found) -> bool:
    return place.topic == worker.topic.name


def _about_outbox(way: Way) -> str:
    if way.outbox is None:
        return "it is not in the outbox: it was published, or never written"
    state = "a relay leads" if way.relay.leads else "no relay leads: start one"
    return f"it waits in the outbox behind {way.outbox.before} others; {state}"


def _about_log(way: Way) -> Sequence[str]:
    if way.made_at is None:
        return ["its id is no UUIDv7, so that nobody knows where in the log to look"]
    if not way.found:
        return [f"no topic has it near {way.made_at:%Y-%m-%dT%H:%M:%S.%fZ}: try a longer --within"]
    return [
        f"{place.topic}[{place.partition}] has it at {place.offset}, published"
        f" {place.published_at:%Y-%m-%dT%H:%M:%S.%fZ}; the relay's last place there is"
        f" {way.relay.places.get((place.topic, place.partition), 'not known')}"
        for place in way.found
    ]


def _about_ledger(way: Way, worker: Worker, place: Found) -> str:
    ledger = way.ledger.get(place.partition)
    where = f"{worker.app}'s ledger of partition {place.partition}"
    if ledger is not None and ledger > place.offset:
        verb = "processed" if place.type_is_known else "skipped, as of a type it does not know"
        return f"{where} is at {ledger}: it was {verb}, or is a dead letter"
    pause = f", and {worker.app} is paused: `resume`" if way.paused else ""
    ahead = place.offset - (ledger or 0)
    return f"{where} is at {ledger or 'nothing yet'}: {ahead} come before it{pause}"


def _about_effects(way: Way, worker: Worker) -> str:
    if worker.trace is None:
        return f"{worker.app} leaves nothing that tells of single events"
    return "its effects are below" if way.effects else "it has no effects in the tables"
