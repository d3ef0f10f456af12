CREATE TABLE outbox (
    -- Drawn while the task's row lock is held, so it follows the versions of a task; cache 1, so
    -- that it follows real time across connections.
    seq         bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    event_id    uuid NOT NULL,
    type        text NOT NULL CHECK (char_length(type) <= 100),
    source      text NOT NULL CHECK (char_length(source) <= 200),
    user_id     uuid NOT NULL,
    subject     text NOT NULL CHECK (char_length(subject) <= 200),
    occurred_at timestamptz NOT NULL,
    traceparent text CHECK (char_length(traceparent) <= 100),
    data        json NOT NULL
) WITH (
    -- Every row lives for milliseconds: vacuum by count, since the table's size says nothing.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = -1
);

-- Which relay leads. A row and not an advisory lock, since a stopped process holds that for ever.
CREATE TABLE relay_lease (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    holder     uuid,
    epoch      bigint NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO relay_lease DEFAULT VALUES;

-- The last place that the relay got in each partition, for whoever needs a position to go on from.
CREATE TABLE relay_positions (
    topic       text NOT NULL,
    partition   integer NOT NULL,
    last_offset bigint NOT NULL,
    event_id    uuid NOT NULL,
    PRIMARY KEY (topic, partition)
);
