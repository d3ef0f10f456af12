ALTER TABLE tasks
    ADD COLUMN recurrence_rule     text CHECK (char_length(recurrence_rule) BETWEEN 1 AND 500),
    ADD COLUMN recurrence_catch_up text NOT NULL DEFAULT 'none'
               CHECK (recurrence_catch_up IN ('none', 'one', 'all')),
    -- The due day that the series counts from: monthly from the 31st stays so after a February.
    ADD COLUMN recurrence_anchor   date;
UPDATE tasks SET recurrence_anchor = due_date WHERE recurrence_pattern <> 'none';

CREATE OR REPLACE FUNCTION task_json(task tasks) RETURNS json
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN json_build_object(
        'id', task.id, 'user_id', task.user_id, 'title', task.title,
        'description', task.description, 'status', task.status, 'completed', task.completed,
        'priority', task.priority, 'due_date', task.due_date,
        'remind_at', instant_text(task.remind_at),
        'recurrence_pattern', task.recurrence_pattern,
        'recurrence_interval', task.recurrence_interval,
        'recurrence_mode', task.recurrence_mode, 'recurrence_rule', task.recurrence_rule,
        'recurrence_catch_up', task.recurrence_catch_up,
        'recurrence_anchor', task.recurrence_anchor, 'next_occurrence', task.next_occurrence,
        'series_id', task.series_id, 'occurrence', task.occurrence, 'tags', task.tag_names,
        'completed_at', instant_text(task.completed_at),
        'deleted_at', instant_text(task.deleted_at), 'version', task.version,
        'created_at', instant_text(task.created_at), 'updated_at', instant_text(task.updated_at)
    );

-- What the recurrence worker made: a successor that has still the version that it gave it is one
-- that nobody else has touched.
CREATE TABLE task_successors (
    successor_id   uuid PRIMARY KEY,
    predecessor_id uuid NOT NULL,
    user_id        uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    version        bigint NOT NULL CHECK (version >= 1),
    withdrawn      boolean NOT NULL,
    -- The reminder's place on the wall clock as it was meant, which a day without that time
    -- shows later: the one after it is on time again.
    remind_days    integer,
    remind_time    time,
    event_id       uuid NOT NULL,
    written_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((remind_days IS NULL) = (remind_time IS NULL))
);
CREATE INDEX task_successors_predecessor ON task_successors (predecessor_id);
CREATE INDEX task_successors_user ON task_successors (user_id);
