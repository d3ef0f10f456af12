CREATE TABLE users (
    id            uuid PRIMARY KEY,
    email         text NOT NULL CHECK (char_length(email) BETWEEN 3 AND 254),
    -- The address without case, made by the program: lower() depends on the database's locale.
    email_key     text NOT NULL UNIQUE CHECK (char_length(email_key) <= 1000),
    password_hash text NOT NULL CHECK (char_length(password_hash) <= 500),
    name          text CHECK (char_length(name) BETWEEN 1 AND 200),
    timezone      text NOT NULL DEFAULT 'UTC' CHECK (char_length(timezone) <= 64),
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE refresh_tokens (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    session_id uuid NOT NULL,
    -- SHA-256 of the token: a copy of this table opens no session.
    token_hash bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at);
