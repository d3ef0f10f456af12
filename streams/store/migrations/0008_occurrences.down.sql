ALTER TABLE task_successors
    DROP COLUMN reopened_event,
    DROP COLUMN reopened_version;
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
ALTER TABLE tasks
    DROP COLUMN series_values,
    DROP COLUMN occurrence_only;
