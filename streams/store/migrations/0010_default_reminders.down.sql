DROP TRIGGER reminder_settings_replan ON reminder_settings;
DROP TRIGGER users_replan ON users;
DROP TRIGGER tasks_plan_changed ON tasks;
DROP TRIGGER tasks_plan_new ON tasks;
DROP FUNCTION replan_for_settings();
DROP FUNCTION replan_for_zone();
DROP FUNCTION replan_reminders(uuid, reminder_wishes);
DROP FUNCTION hold_plans(uuid);
DROP FUNCTION plan_reminders();
DROP FUNCTION reminder_instant(reminders, tasks);
DROP FUNCTION reminder_minutes(reminders, reminder_wishes);
DROP FUNCTION before_due_instant(reminder_wishes, date, integer);
DROP FUNCTION wishes_of(uuid);
DROP FUNCTION known_zone(text);
DROP TYPE reminder_wishes;
DROP INDEX reminder_firings_fired;
ALTER TABLE reminder_settings ALTER COLUMN default_before_due_minutes DROP DEFAULT;
ALTER TABLE reminders DROP COLUMN fired_at, DROP COLUMN by_default;

-- As it was before: see 0006.
-- When a reminder so long before the due day fires. A task is due at nine in the morning of its day
-- by the wall clock of its user's zone; what falls into the user's quiet hours waits for their end.
-- A wall-clock time that does not exist moves forward. A zone that this server does not know counts
-- as UTC.
CREATE FUNCTION before_due_instant(of_user uuid, due_on date, minutes integer) RETURNS timestamptz
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    zone text;
    quiet_from time;
    quiet_until time;
    instant timestamptz;
    local timestamp;
BEGIN
    SELECT users.timezone, wish.quiet_from, wish.quiet_until INTO zone, quiet_from, quiet_until
      FROM users LEFT JOIN reminder_settings AS wish ON wish.user_id = users.id
     WHERE users.id = of_user;
    BEGIN
        instant := (due_on + time '09:00') AT TIME ZONE zone;
    EXCEPTION WHEN invalid_parameter_value THEN
        zone := 'UTC';
        instant := (due_on + time '09:00') AT TIME ZONE zone;
    END;
    instant := instant - make_interval(mins => minutes);
    local := instant AT TIME ZONE zone;
    IF quiet_from < quiet_until AND local::time >= quiet_from AND local::time < quiet_until
       OR quiet_from > quiet_until AND local::time < quiet_until THEN
        RETURN (local::date + quiet_until) AT TIME ZONE zone;
    ELSIF quiet_from > quiet_until AND local::time >= quiet_from THEN
        RETURN (local::date + 1 + quiet_until) AT TIME ZONE zone;
    END IF;
    RETURN instant;
END $$;

-- When a reminder fires by what it is and what its task is; null if it has no instant. An instant
-- that the user named is kept, quiet hours or not.
CREATE FUNCTION reminder_instant(reminder reminders, task tasks) RETURNS timestamptz
    LANGUAGE sql STABLE
    RETURN CASE reminder.kind
        WHEN 'task' THEN task.remind_at
        WHEN 'absolute' THEN reminder.at
        ELSE before_due_instant(task.user_id, task.due_date, reminder.before_due_minutes)
    END;

-- The plan follows the task in the transaction that writes it, whoever writes it. The row of the
-- task is locked then, and whoever fires a reminder locks it too, before the reminder's.
-- What fell due while the task was completed or deleted does not fire when it comes back.
CREATE FUNCTION plan_reminders() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_new boolean := TG_OP = 'INSERT';
    came_back boolean := false;
BEGIN
    IF NEW.status <> 'pending' OR NEW.deleted_at IS NOT NULL THEN
        UPDATE reminders SET fires_at = NULL, planned_version = NEW.version
         WHERE task_id = NEW.id AND fires_at IS NOT NULL;
        RETURN NULL;
    END IF;
    IF NOT is_new THEN
        came_back := OLD.status <> 'pending' OR OLD.deleted_at IS NOT NULL;
    END IF;
    IF NEW.remind_at IS NULL THEN
        DELETE FROM reminders WHERE id = NEW.id;
    ELSIF is_new OR OLD.remind_at IS DISTINCT FROM NEW.remind_at THEN
        INSERT INTO reminders (id, user_id, task_id, kind, fires_at, planned_version)
        VALUES (NEW.id, NEW.user_id, NEW.id, 'task', NEW.remind_at, NEW.version)
        ON CONFLICT (id) DO UPDATE
            SET fires_at = excluded.fires_at, planned_version = excluded.planned_version;
    END IF;
    IF NEW.due_date IS NOT NULL AND NEW.remind_at IS NULL AND (is_new OR OLD.due_date IS NULL) THEN
        INSERT INTO reminders (id, user_id, task_id, kind, before_due_minutes, planned_version)
        SELECT gen_random_uuid(), NEW.user_id, NEW.id, 'before_due', default_before_due_minutes,
               NEW.version
          FROM reminder_settings
         WHERE user_id = NEW.user_id AND default_before_due_minutes IS NOT NULL
           AND NOT EXISTS (SELECT FROM reminders WHERE task_id = NEW.id);
    END IF;
    IF came_back THEN
        UPDATE reminders AS reminder
           SET fires_at = reminder_instant(reminder, NEW), planned_version = NEW.version
         WHERE task_id = NEW.id AND reminder_instant(reminder, NEW) > clock_timestamp();
    ELSIF is_new OR OLD.due_date IS DISTINCT FROM NEW.due_date THEN
        UPDATE reminders AS reminder
           SET fires_at = CASE WHEN reminder_instant(reminder, NEW) > clock_timestamp()
                               THEN reminder_instant(reminder, NEW) END,
               planned_version = NEW.version
         WHERE task_id = NEW.id AND kind = 'before_due';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER tasks_plan_new AFTER INSERT ON tasks
    FOR EACH ROW WHEN (NEW.remind_at IS NOT NULL OR NEW.due_date IS NOT NULL)
    EXECUTE FUNCTION plan_reminders();
CREATE TRIGGER tasks_plan_changed AFTER UPDATE ON tasks
    FOR EACH ROW WHEN (
        (OLD.remind_at, OLD.due_date, OLD.status, OLD.deleted_at)
        IS DISTINCT FROM (NEW.remind_at, NEW.due_date, NEW.status, NEW.deleted_at)
    )
    EXECUTE FUNCTION plan_reminders();
