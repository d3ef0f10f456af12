-- What no worker could process: written in the transaction that moves the ledger past it, once by
-- its place, however often the letter itself was published.
CREATE TABLE dead_letters (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app           text NOT NULL CHECK (char_length(app) <= 100),
    topic         text NOT NULL CHECK (char_length(topic) <= 249),
    partition     integer NOT NULL CHECK (partition >= 0),
    log_offset    bigint NOT NULL CHECK (log_offset >= 0),
    -- Whose order it stands in; the start of it, should it be a stranger's long one.
    record_key    bytea CHECK (octet_length(record_key) <= 1000),
    event_id      uuid,
    error         text NOT NULL CHECK (char_length(error) <= 1000),
    died_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    state         text NOT NULL DEFAULT 'waiting'
                  CHECK (state IN ('waiting', 'replayed', 'dropped')),
    settled_at    timestamptz,
    failed_tries  integer NOT NULL DEFAULT 0,
    dlq_partition integer NOT NULL,
    dlq_offset    bigint NOT NULL,
    UNIQUE (app, topic, partition, log_offset),
    CHECK ((state = 'waiting') = (settled_at IS NULL))
);
CREATE INDEX dead_letters_waiting ON dead_letters (app, topic, partition, log_offset)
    WHERE state = 'waiting';
CREATE INDEX dead_letters_event ON dead_letters (event_id);

-- A worker whose app is here processes nothing.
CREATE TABLE paused_apps (
    app       text PRIMARY KEY CHECK (char_length(app) <= 100),
    paused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    paused_by text NOT NULL CHECK (char_length(paused_by) <= 200)
);

-- Who changed what by hand. A row without a result is a command that is running, or that died.
CREATE TABLE operator_log (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at  timestamptz,
    operator  text NOT NULL CHECK (char_length(operator) <= 200),
    command   text NOT NULL CHECK (char_length(command) <= 100),
    arguments jsonb NOT NULL,
    result    text CHECK (char_length(result) <= 2000),
    CHECK ((result IS NULL) = (ended_at IS NULL))
);
