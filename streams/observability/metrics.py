"""Every metric of every process, so that a dashboard's author reads one page."""

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST

HTTP_REQUESTS = Counter(
    "taskflow_http_requests_total", "Requests answered.", ["method", "route", "status"]
)
HTTP_SECONDS = Histogram("taskflow_http_request_seconds", "Time to answer.", ["method", "route"])

RELAY_LEADER = Gauge("taskflow_relay_leader", "1 while this relay holds the lease.")
RELAY_PUBLISHED = Counter("taskflow_relay_published_total", "Outbox rows acknowledged by the log.")
RELAY_FAILED = Counter(
    "taskflow_relay_failed_total", "Messages of outbox rows that a publish failed for."
)
OUTBOX_ROWS = Gauge(
    "taskflow_outbox_rows",
    "Rows not yet published, by the leader's last look; more than 20,000 are not counted.",
)

EFFECTS_APPLIED = Counter(
    "taskflow_effects_applied_total", "Events whose effects were committed.", ["app"]
)
EFFECTS_SKIPPED = Counter(
    "taskflow_effects_skipped_total", "Events of a type that this version does not know.", ["app"]
)
EFFECTS_DEAD = Counter(
    "taskflow_dead_letters_total", "Events moved to a dead-letter topic.", ["app"]
)
EFFECTS_RETRIES = Counter(
    "taskflow_effects_retries_total", "Times a batch waited for its database.", ["app"]
)
EFFECTS_HOLES = Counter(
    "taskflow_effects_holes_total", "Offsets that the worker skipped and were read again.", ["app"]
)
EFFECTS_GAPS = Counter(
    "taskflow_effects_gaps_total",
    "Offsets that the log itself does not have. Alarm on any.",
    ["app"],
)
EFFECTS_PAUSED = Gauge(
    "taskflow_effects_paused", "1 while an operator has paused the app.", ["app"]
)
EFFECTS_LAG = Gauge(
    "taskflow_effects_lag", "Records behind the end of the partition.", ["app", "partition"]
)

DELIVERIES = Counter(
    "taskflow_deliveries_total",
    "Attempts to send a notification, by what came of them: sent, waiting, failed.",
    ["channel", "outcome"],
)

RECURRENCE_STEPS = Counter(
    "taskflow_recurrence_steps_total",
    "Successors of recurring tasks that were looked at, by what was decided.",
    ["verdict"],
)
REMINDERS_FIRED = Counter("taskflow_reminders_fired_total", "Reminders fired.", ["late"])
REMINDERS_LATENESS = Histogram(
    "taskflow_reminders_lateness_seconds",
    "From a reminder's instant to its firing, by the database's clock.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 3600),
)
REMINDERS_HELD = Gauge("taskflow_reminders_held", "Reminders in the worker's window.")
REMINDERS_SWEPT = Counter(
    "taskflow_reminders_swept_total",
    "Reminders that only the sweep found. Alarm on those whose event was consumed.",
    ["event_consumed"],
)

CONNECTIONS = Gauge("taskflow_gateway_connections", "Websockets open and authenticated.")
FRAMES_SENT = Counter("taskflow_gateway_events_total", "Event frames queued to clients.")
CLOSES = Counter("taskflow_gateway_closes_total", "Connections ended by the gateway.", ["reason"])
REFUSALS = Counter(
    "taskflow_gateway_refusals_total", "Upgrades that were refused over HTTP.", ["reason"]
)


def render() -> bytes:
    """Give all metrics of this process in Prometheus' text format."""
    return generate_latest(REGISTRY)
