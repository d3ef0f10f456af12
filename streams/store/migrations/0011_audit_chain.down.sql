DROP VIEW audit_log;

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
INSERT INTO audit_log (id, user_id, event_type, task_id, task_data, event_id, timestamp)
SELECT id, user_id, event_type, task_id, content::jsonb -> 'task_data', event_id, timestamp
  FROM audit_entries
 WHERE content IS NOT NULL;
CREATE INDEX audit_log_newest ON audit_log (user_id, timestamp DESC, id DESC);
CREATE INDEX audit_log_task ON audit_log (task_id, timestamp DESC, id DESC);

DROP TABLE audit_heads;
DROP TABLE audit_entries;
