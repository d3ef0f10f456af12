DROP TRIGGER tasks_plan_changed ON tasks;
DROP TRIGGER tasks_plan_new ON tasks;
DROP FUNCTION plan_reminders();
DROP FUNCTION reminder_instant(reminders, tasks);
DROP FUNCTION before_due_instant(uuid, date, integer);
DROP TABLE reminder_firings;
DROP TABLE reminder_settings;
DROP TABLE reminders;
