-- What happened, chained per user: docs/audit-format.md says what is hashed, and why.
CREATE TABLE audit_entries (
    user_id      uuid NOT NULL,
    -- 1, 2, 3 … without a hole.
    position     bigint NOT NULL CHECK (position >= 1),
    id           uuid NOT NULL,
    event_id     uuid NOT NULL UNIQUE,
    -- The four that are erased with their account; what is hashed is the text, byte for byte.
    event_type   text CHECK (
        event_type IN ('created', 'updated', 'completed', 'reopened', 'deleted', 'restored')
    ),
    task_id      uuid,
    timestamp    timestamptz,
    content      text,
    content_hash bytea NOT NULL CHECK (octet_length(content_hash) = 32),
    hash         bytea NOT NULL CHECK (octet_length(hash) = 32),
    CHECK (num_nonnulls(event_type, task_id, timestamp, content) IN (0, 4)),
    PRIMARY KEY (user_id, position)
);

-- Where each chain ends. A row is updated in place by every batch, so its page keeps room for that.
CREATE TABLE audit_heads (
    user_id   uuid PRIMARY KEY,
    position  bigint NOT NULL CHECK (position >= 0),
    hash      bytea NOT NULL CHECK (octet_length(hash) = 32),
    erased_at timestamptz
) WITH (fillfactor = 50);

CREATE FUNCTION audit_link(previous bytea, user_id uuid, content_hash bytea) RETURNS bytea
    LANGUAGE sql IMMUTABLE
    RETURN sha256(
        convert_to(E'taskflow.audit.v1.link\n', 'UTF8')
        || coalesce(
            previous, sha256(convert_to(E'taskflow.audit.v1.start\n' || user_id, 'UTF8'))
        )
        || content_hash
    );
CREATE AGGREGATE audit_chain (uuid, bytea) (SFUNC = audit_link, STYPE = bytea);

WITH written AS MATERIALIZED (
    SELECT user_id, id, event_id, event_type, task_id, timestamp,
           '{"id":"' || id || '","user_id":"' || user_id || '","event_id":"' || event_id
           || '","event_type":"' || event_type || '","task_id":"' || task_id
           || '","timestamp":"' || instant_text(timestamp)
           || '","salt":"' || replace(gen_random_uuid()::text, '-', '')
           || '","task_data":' || task_data::text || '}' AS content
      FROM audit_log
), hashed AS (
    SELECT *, sha256(convert_to(E'taskflow.audit.v1.content\n' || content, 'UTF8')) AS content_hash
      FROM written
)
INSERT INTO audit_entries (user_id, position, id, event_id, event_type, task_id, timestamp,
                           content, content_hash, hash)
SELECT user_id, row_number() OVER earlier, id, event_id, event_type, task_id, timestamp,
       content, content_hash, audit_chain(user_id, content_hash) OVER earlier
  FROM hashed
WINDOW earlier AS (PARTITION BY user_id ORDER BY timestamp, id ROWS UNBOUNDED PRECEDING);

INSERT INTO audit_heads (user_id, position, hash)
SELECT DISTINCT ON (user_id) user_id, position, hash
  FROM audit_entries ORDER BY user_id, position DESC;

DROP AGGREGATE audit_chain (uuid, bytea);
DROP FUNCTION audit_link(bytea, uuid, bytea);
DROP TABLE audit_log;

CREATE INDEX audit_entries_newest ON audit_entries (user_id, timestamp DESC, id DESC);
CREATE INDEX audit_entries_task ON audit_entries (task_id, timestamp DESC, id DESC);

-- For readers: the tasks as the hashed texts have them, without what was erased.
CREATE VIEW audit_log AS
SELECT id, user_id, event_type, task_id, content::jsonb -> 'task_data' AS task_data, event_id,
       timestamp
  FROM audit_entries
 WHERE content IS NOT NULL;
