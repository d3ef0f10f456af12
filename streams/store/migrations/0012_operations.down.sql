DROP TABLE operator_log;
DROP TABLE paused_apps;
DROP TABLE dead_letters;
