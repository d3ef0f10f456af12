DROP TABLE audit_log;
DROP TABLE stream_offsets;
