-- Where each worker is in each partition, moved in the transaction that writes its effects.
CREATE TABLE stream_offsets (
    app         text NOT NULL CHECK (char_length(app) <= 100),
    topic       text NOT NULL CHECK (char_length(topic) <= 249),
    partition   integer NOT NULL CHECK (partition >= 0),
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    moved_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (app, topic, partition)
);

CREATE TABLE audit_log (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL,
    event_type text NOT NULL CHECK (
        event_type IN ('created', 'updated', 'completed', 'reopened', 'deleted', 'restored')
    ),
    task_id    uuid NOT NULL,
    task_data  jsonb NOT NULL,
    event_id   uuid NOT NULL UNIQUE,
    timestamp  timestamptz NOT NULL
);
CREATE INDEX audit_log_newest ON audit_log (user_id, timestamp DESC, id DESC);
CREATE INDEX audit_log_task ON audit_log (task_id, timestamp DESC, id DESC);
