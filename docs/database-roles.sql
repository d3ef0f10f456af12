-- Two roles for one database: taskflow_owner migrates, taskflow_app is what every process runs as.
--
-- Run this once, connected to the new database, as a role that may make roles:
--     psql -d taskflow -v ON_ERROR_STOP=1 -f docs/database-roles.sql
-- give both a password (\password taskflow_owner), and then
--     DATABASE_URL=postgresql://taskflow_owner:…  taskflow migrate up
--     psql -d taskflow -c 'CALL taskflow_restrict()'
-- and start the processes with DATABASE_URL=postgresql://taskflow_app:…
-- Tables of later migrations get their grants by themselves; `taskflow_restrict` may be called again.

CREATE ROLE taskflow_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
CREATE ROLE taskflow_app   LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;

-- Nobody else comes in, and only the owner makes anything.
DO $$ BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO taskflow_owner, taskflow_app', current_database());
    -- The shadow of `faust -A streams.audit rebuild`, which runs as the owner, is a schema.
    EXECUTE format('GRANT CREATE ON DATABASE %I TO taskflow_owner', current_database());
END $$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO taskflow_owner;
GRANT USAGE ON SCHEMA public TO taskflow_app;

-- The processes read and write rows. They make, change, empty and drop no table.
ALTER DEFAULT PRIVILEGES FOR ROLE taskflow_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO taskflow_app;
ALTER DEFAULT PRIVILEGES FOR ROLE taskflow_owner IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO taskflow_app;

-- What no process has to do. Entries of the audit trail are appended, and blanked when a user is
-- erased, but never deleted; which migrations were run is the owner's to say.
CREATE PROCEDURE taskflow_restrict() LANGUAGE plpgsql AS $$ BEGIN
    REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM taskflow_app;
    REVOKE DELETE ON audit_entries, audit_heads FROM taskflow_app;
END $$;
ALTER PROCEDURE taskflow_restrict() OWNER TO taskflow_owner;
