DROP FUNCTION task_json(tasks);
DROP FUNCTION instant_text(timestamptz);
DROP TABLE todo_tags;
DROP TABLE tags;
DROP TABLE tasks;
