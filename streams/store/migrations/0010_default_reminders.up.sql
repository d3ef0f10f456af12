-- Reminders by default, and plans that follow their user's settings.

ALTER TABLE reminders
    -- Made by the user's default, which it follows; not made by anybody who named it.
    ADD COLUMN by_default boolean NOT NULL DEFAULT false CHECK (NOT by_default OR kind = 'before_due'),
    -- When it fired last: kept for as long as the reminder, where the ledger is pruned.
    ADD COLUMN fired_at timestamptz;

-- Until now the trigger alone made ids of version 4, and all others are of version 7.
UPDATE reminders SET by_default = true
 WHERE kind = 'before_due' AND substr(id::text, 15, 1) = '4';
UPDATE reminders SET fired_at = last.fired_at
  FROM (SELECT reminder_id, max(fired_at) AS fired_at FROM reminder_firings GROUP BY reminder_id)
       AS last
 WHERE last.reminder_id = reminders.id;

-- No row: an hour before. A row says what its user was shown, and null is off.
ALTER TABLE reminder_settings ALTER COLUMN default_before_due_minutes SET DEFAULT 60;

-- The ledger is pruned by it; it grows at its end only.
CREATE INDEX reminder_firings_fired ON reminder_firings (fired_at);

DROP TRIGGER tasks_plan_changed ON tasks;
DROP TRIGGER tasks_plan_new ON tasks;
DROP FUNCTION plan_reminders();
DROP FUNCTION reminder_instant(reminders, tasks);
DROP FUNCTION before_due_instant(uuid, date, integer);

CREATE TYPE reminder_wishes AS (
    zone            text,
    quiet_from      time,
    quiet_until     time,
    default_minutes integer
);

-- A zone that this server does not know counts as UTC.
CREATE FUNCTION known_zone(zone text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM timestamp '2000-01-01' AT TIME ZONE zone;
    RETURN zone;
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN 'UTC';
END $$;

-- What decides about all reminders of a user. In PL/pgSQL, which keeps the plans of its statements
-- for a session: SQL would plan it in each write of a task.
CREATE FUNCTION wishes_of(of_user uuid) RETURNS reminder_wishes LANGUAGE plpgsql STABLE AS $$
DECLARE
    wishes reminder_wishes;
BEGIN
    SELECT users.timezone, wish.quiet_from, wish.quiet_until,
           CASE WHEN wish.user_id IS NULL THEN 60 ELSE wish.default_before_due_minutes END
      INTO wishes
      FROM users LEFT JOIN reminder_settings AS wish ON wish.user_id = users.id
     WHERE users.id = of_user;
    wishes.zone := known_zone(wishes.zone);
    RETURN wishes;
END $$;

-- When a reminder so long before the due day fires. A task is due at nine in the morning of its day
-- by the wall clock of its user's zone; what falls into the user's quiet hours waits for their end.
-- A wall-clock time that does not exist moves forward.
CREATE FUNCTION before_due_instant(wishes reminder_wishes, due_on date, minutes integer)
    RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    instant timestamptz := (due_on + time '09:00') AT TIME ZONE wishes.zone
                           - make_interval(mins => minutes);
    local timestamp := instant AT TIME ZONE wishes.zone;
BEGIN
    IF wishes.quiet_from < wishes.quiet_until
           AND local::time >= wishes.quiet_from AND local::time < wishes.quiet_until
       OR wishes.quiet_from > wishes.quiet_until AND local::time < wishes.quiet_until THEN
        RETURN (local::date + wishes.quiet_until) AT TIME ZONE wishes.zone;
    ELSIF wishes.quiet_from > wishes.quiet_until AND local::time >= wishes.quiet_from THEN
        RETURN (local::date + 1 + wishes.quiet_until) AT TIME ZONE wishes.zone;
    END IF;
    RETURN instant;
END $$;

-- How long before the due day, by what the reminder is; null if its default is switched off.
CREATE FUNCTION reminder_minutes(reminder reminders, wishes reminder_wishes) RETURNS integer
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN reminder.by_default THEN (wishes).default_minutes
                ELSE reminder.before_due_minutes END;

-- When a reminder fires by what it is and what its task is; null if it has no instant. An instant
-- that the user named is kept, quiet hours or not.
CREATE FUNCTION reminder_instant(reminder reminders, task tasks) RETURNS timestamptz
    LANGUAGE sql STABLE
    RETURN CASE reminder.kind
        WHEN 'task' THEN task.remind_at
        WHEN 'absolute' THEN reminder.at
        ELSE before_due_instant(wishes_of(task.user_id), task.due_date,
                                reminder_minutes(reminder, wishes_of(task.user_id)))
    END;

-- The plan follows the task in the transaction that writes it, whoever writes it. The row of the
-- task is locked then, and whoever fires a reminder locks it too, before the reminder's.
-- What fell due while the task was completed or deleted does not fire when it comes back.
CREATE FUNCTION plan_reminders() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_new boolean := TG_OP = 'INSERT';
    is_live boolean := NEW.status = 'pending' AND NEW.deleted_at IS NULL;
    came_back boolean := false;
    due_changed boolean := TG_OP = 'INSERT';
    wishes reminder_wishes;
BEGIN
    IF NOT is_live THEN
        UPDATE reminders SET fires_at = NULL, planned_version = NEW.version
         WHERE task_id = NEW.id AND fires_at IS NOT NULL;
    END IF;
    IF NOT is_new THEN
        came_back := is_live AND (OLD.status <> 'pending' OR OLD.deleted_at IS NOT NULL);
        due_changed := OLD.due_date IS DISTINCT FROM NEW.due_date;
    END IF;
    IF NEW.due_date IS NOT NULL AND (due_changed OR came_back) THEN
        -- Whoever changes the wishes waits for this transaction, or this one for that. The wishes
        -- are read by the next statement, which sees what was committed while this one waited.
        PERFORM FROM users WHERE id = NEW.user_id FOR KEY SHARE;
        wishes := wishes_of(NEW.user_id);
    END IF;
    IF NEW.remind_at IS NULL THEN
        IF NOT is_new THEN
            DELETE FROM reminders WHERE id = NEW.id;
        END IF;
    ELSIF is_new OR OLD.remind_at IS DISTINCT FROM NEW.remind_at THEN
        INSERT INTO reminders (id, user_id, task_id, kind, fires_at, planned_version)
        -- Of a task that is completed or deleted it is kept, for when the task comes back.
        VALUES (NEW.id, NEW.user_id, NEW.id, 'task', CASE WHEN is_live THEN NEW.remind_at END,
                NEW.version)
        ON CONFLICT (id) DO UPDATE
            SET fires_at = excluded.fires_at, planned_version = excluded.planned_version;
    END IF;
    IF NEW.due_date IS NOT NULL AND NEW.remind_at IS NULL AND (is_new OR OLD.due_date IS NULL)
       AND wishes.default_minutes IS NOT NULL THEN
        -- One whose instant has passed does not fire, and follows its task when that is moved.
        INSERT INTO reminders
            (id, user_id, task_id, kind, before_due_minutes, by_default, planned_version, fires_at)
        SELECT gen_random_uuid(), NEW.user_id, NEW.id, 'before_due', wishes.default_minutes, true,
               NEW.version, CASE WHEN is_live AND instant > clock_timestamp() THEN instant END
          FROM before_due_instant(wishes, NEW.due_date, wishes.default_minutes) AS instant
         WHERE is_new OR NOT EXISTS (SELECT FROM reminders WHERE task_id = NEW.id);
    END IF;
    IF NOT is_live THEN
        RETURN NULL;
    END IF;
    IF came_back THEN
        UPDATE reminders AS reminder
           SET fires_at = CASE kind
                   WHEN 'task' THEN NEW.remind_at
                   WHEN 'absolute' THEN at
                   ELSE before_due_instant(wishes, NEW.due_date, reminder_minutes(reminder, wishes))
               END,
               before_due_minutes = coalesce(reminder_minutes(reminder, wishes), before_due_minutes),
               planned_version = NEW.version
         WHERE task_id = NEW.id AND reminder_instant(reminder, NEW) > clock_timestamp();
    ELSIF due_changed AND NOT is_new THEN
        UPDATE reminders AS reminder
           SET fires_at = CASE WHEN instant > clock_timestamp() THEN instant END,
               before_due_minutes = coalesce(minutes, before_due_minutes),
               planned_version = NEW.version
          FROM (
              SELECT id AS of_reminder, minutes,
                     before_due_instant(wishes, NEW.due_date, minutes) AS instant
                FROM reminders AS planned
                CROSS JOIN LATERAL reminder_minutes(planned, wishes) AS minutes
               WHERE task_id = NEW.id AND kind = 'before_due'
          ) AS fresh
         WHERE id = of_reminder;
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

-- Hold a user, and the tasks of theirs whose reminders count from a due day, until the transaction
-- ends. Everybody else has a task before its user: so it never waits for a task with the user held,
-- but lets go of both and tries again. An aborted block gives its row locks back.
CREATE FUNCTION hold_plans(of_user uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    tries_max CONSTANT integer := 100;
BEGIN
    FOR try IN 1 .. tries_max LOOP
        BEGIN
            PERFORM FROM users WHERE id = of_user FOR UPDATE;
            PERFORM FROM tasks
              WHERE user_id = of_user AND status = 'pending' AND deleted_at IS NULL
                AND id IN (SELECT task_id FROM reminders
                            WHERE user_id = of_user AND kind = 'before_due')
                FOR NO KEY UPDATE NOWAIT;
            RETURN;
        EXCEPTION WHEN lock_not_available THEN
            IF try = tries_max THEN
                RAISE;
            END IF;
        END;
        PERFORM pg_sleep(0.02);
    END LOOP;
END $$;

-- Plan again what counts from a due day, has not fired and is of a pending task, after what its
-- user wishes has changed from `was`. What is overdue stands as it is, for whoever fires it; what
-- stands at another instant than it was planned for was snoozed, and stays; what would have passed
-- does not fire. One set-based statement: its limit is `statement_timeout`, and at that nothing has
-- changed, the wishes neither.
-- Whoever saw the next version's event knows of it, since that comes after this transaction. Until
-- then the notification tells the workers.
CREATE FUNCTION replan_reminders(of_user uuid, was reminder_wishes) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    now CONSTANT timestamptz := clock_timestamp();
    wishes CONSTANT reminder_wishes := wishes_of(of_user);
BEGIN
    WITH known AS MATERIALIZED (
        SELECT reminder.id, task.version, reminder.fires_at, reminder.fired_at,
               coalesce(minutes, reminder.before_due_minutes) AS minutes,
               before_due_instant(was, task.due_date, reminder.before_due_minutes) AS planned_at,
               before_due_instant(wishes, task.due_date, minutes) AS instant
          FROM reminders AS reminder
          JOIN tasks AS task ON task.id = reminder.task_id
          CROSS JOIN LATERAL reminder_minutes(reminder, wishes) AS minutes
         WHERE reminder.user_id = of_user AND reminder.kind = 'before_due'
           AND (reminder.fires_at IS NULL OR reminder.fires_at > now)
           AND task.status = 'pending' AND task.deleted_at IS NULL
    ), fresh AS (
        SELECT id, version, minutes,
               CASE WHEN fires_at IS DISTINCT FROM planned_at AND fires_at IS NOT NULL THEN fires_at
                    WHEN fires_at IS NULL AND fired_at IS NOT NULL THEN NULL
                    WHEN instant > now THEN instant
               END AS fires_at
          FROM known
    )
    UPDATE reminders
       SET before_due_minutes = fresh.minutes, fires_at = fresh.fires_at,
           planned_version = fresh.version + 1
      FROM fresh
     WHERE reminders.id = fresh.id
       AND (reminders.before_due_minutes, reminders.fires_at)
           IS DISTINCT FROM (fresh.minutes, fresh.fires_at);
    IF FOUND THEN
        -- It costs a lock of all commits, for a change that a user makes now and then.
        PERFORM pg_notify('taskflow_replanned', of_user::text);
    END IF;
END $$;

CREATE FUNCTION replan_for_zone() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was reminder_wishes;
BEGIN
    PERFORM hold_plans(NEW.id);
    was := wishes_of(NEW.id);
    was.zone := known_zone(OLD.timezone);
    PERFORM replan_reminders(NEW.id, was);
    RETURN NULL;
END $$;

CREATE FUNCTION replan_for_settings() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was reminder_wishes;
BEGIN
    PERFORM hold_plans(NEW.user_id);
    was := wishes_of(NEW.user_id);
    IF TG_OP = 'UPDATE' THEN
        was.quiet_from := OLD.quiet_from;
        was.quiet_until := OLD.quiet_until;
        was.default_minutes := OLD.default_before_due_minutes;
    ELSE
        was.quiet_from := NULL;
        was.quiet_until := NULL;
        was.default_minutes := 60;
    END IF;
    PERFORM replan_reminders(NEW.user_id, was);
    RETURN NULL;
END $$;

-- Triggers, so that whoever writes a zone or a wish replans: nobody has to think of it.
CREATE TRIGGER users_replan AFTER UPDATE OF timezone ON users
    FOR EACH ROW WHEN (OLD.timezone IS DISTINCT FROM NEW.timezone)
    EXECUTE FUNCTION replan_for_zone();
CREATE TRIGGER reminder_settings_replan AFTER INSERT OR UPDATE ON reminder_settings
    FOR EACH ROW EXECUTE FUNCTION replan_for_settings();
