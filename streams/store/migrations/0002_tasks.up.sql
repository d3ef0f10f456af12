CREATE TABLE tasks (
    id                  uuid PRIMARY KEY,
    user_id             uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    title               text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 500),
    description         text CHECK (char_length(description) <= 10000),
    status              text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'completed')),
    -- Deprecated: status says it.
    completed           boolean NOT NULL GENERATED ALWAYS AS (status = 'completed') STORED,
    priority            text NOT NULL DEFAULT 'medium'
                        CHECK (priority IN ('low', 'medium', 'high', 'urgent')),
    due_date            date,
    remind_at           timestamptz,
    recurrence_pattern  text NOT NULL DEFAULT 'none'
                        CHECK (recurrence_pattern IN ('none', 'daily', 'weekly', 'monthly', 'yearly')),
    recurrence_interval integer NOT NULL DEFAULT 1 CHECK (recurrence_interval BETWEEN 1 AND 999),
    recurrence_mode     text NOT NULL DEFAULT 'due' CHECK (recurrence_mode IN ('due', 'completion')),
    next_occurrence     date,
    series_id           uuid,
    occurrence          integer CHECK (occurrence >= 1),
    -- The tags' names as they are now: a statement that waited for this row's lock reads it new,
    -- but would read todo_tags by its old snapshot.
    tag_names           text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tag_names) <= 20),
    completed_at        timestamptz,
    deleted_at          timestamptz,
    version             bigint NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    change_xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CHECK ((status = 'completed') = (completed_at IS NOT NULL))
);
CREATE INDEX tasks_newest ON tasks (user_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX tasks_newest_all ON tasks (user_id, created_at DESC, id DESC);

CREATE TABLE tags (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    name       text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 50),
    -- The name without case, made by the program, as with users.email_key.
    name_key   text NOT NULL CHECK (char_length(name_key) <= 200),
    color      text NOT NULL DEFAULT '#808080' CHECK (color ~ '^#[0-9a-f]{6}$'),
    version    bigint NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (user_id, name_key)
);

CREATE TABLE todo_tags (
    todo_id uuid NOT NULL REFERENCES tasks ON DELETE CASCADE,
    tag_id  uuid NOT NULL REFERENCES tags ON DELETE CASCADE,
    PRIMARY KEY (todo_id, tag_id)
);
CREATE INDEX todo_tags_tag ON todo_tags (tag_id);

-- As answers spell it: with microseconds, but for a whole second.
CREATE FUNCTION instant_text(instant timestamptz) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN regexp_replace(
        to_char(instant AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '[.]000000Z$', 'Z'
    );

-- A task as the contract shows it. Its event is made from it in the statement that wrote the row,
-- so that what the log says and what the table says cannot differ.
CREATE FUNCTION task_json(task tasks) RETURNS json
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN json_build_object(
        'id', task.id, 'user_id', task.user_id, 'title', task.title,
        'description', task.description, 'status', task.status, 'completed', task.completed,
        'priority', task.priority, 'due_date', task.due_date,
        'remind_at', instant_text(task.remind_at),
        'recurrence_pattern', task.recurrence_pattern,
        'recurrence_interval', task.recurrence_interval,
        'recurrence_mode', task.recurrence_mode, 'next_occurrence', task.next_occurrence,
        'series_id', task.series_id, 'occurrence', task.occurrence, 'tags', task.tag_names,
        'completed_at', instant_text(task.completed_at),
        'deleted_at', instant_text(task.deleted_at), 'version', task.version,
        'created_at', instant_text(task.created_at), 'updated_at', instant_text(task.updated_at)
    );
