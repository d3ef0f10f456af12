-- Mail goes to an address only when its owner has shown that it is theirs.
ALTER TABLE users ADD COLUMN email_verified_at timestamptz;

-- What a user is to know. Written with the event that says so, in one transaction.
CREATE TABLE notifications (
    -- uuid5 of the event that it tells of: the same event makes the same row.
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    event_id   uuid NOT NULL,
    type       text NOT NULL CHECK (char_length(type) <= 100),
    task_id    uuid,
    title      text NOT NULL CHECK (char_length(title) <= 1000),
    body       text NOT NULL CHECK (char_length(body) <= 2000),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    read_at    timestamptz
);
CREATE INDEX notifications_newest ON notifications (user_id, created_at DESC, id DESC);
CREATE INDEX notifications_unread ON notifications (user_id, created_at DESC, id DESC)
    WHERE read_at IS NULL;
CREATE INDEX notifications_age ON notifications (created_at);

-- Where a user wants to be told of events, beside the list of notifications itself.
CREATE TABLE channels (
    id            uuid PRIMARY KEY,
    user_id       uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    -- 'account' is made by the program: mails that prove who owns an address.
    kind          text NOT NULL CHECK (kind ~ '^[a-z]{1,20}$'),
    name          text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    event_types   text[] NOT NULL CHECK (cardinality(event_types) <= 50),
    enabled       boolean NOT NULL DEFAULT true,
    off_reason    text CHECK (char_length(off_reason) <= 1000),
    -- Address and secrets, encrypted by the program; the database never sees a key.
    sealed        text CHECK (char_length(sealed) <= 20000),
    -- Whether the last attempt arrived; of a new channel nobody knows.
    works         boolean NOT NULL DEFAULT false,
    -- Since when nothing has arrived; null when the last attempt did, and before the first.
    failing_since timestamptz,
    -- When a sender has to look at it: never later than the first of its deliveries that waits.
    due_at        timestamptz,
    -- One sender has it until then, by this database's clock.
    claimed_until timestamptz,
    claim         uuid,
    version       bigint NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX channels_user ON channels (user_id, created_at, id);
CREATE UNIQUE INDEX channels_account ON channels (user_id) WHERE kind = 'account';
-- A sender asks for one kind, and for those that work apart from the others.
CREATE INDEX channels_due ON channels (kind, works, due_at) WHERE due_at IS NOT NULL;

-- The ledger of what is sent: one row for an event and a channel.
CREATE TABLE deliveries (
    -- uuid5 of event and channel, and the key by which a receiver drops a repeat.
    id              uuid PRIMARY KEY,
    channel_id      uuid NOT NULL REFERENCES channels ON DELETE CASCADE,
    user_id         uuid NOT NULL,
    -- Null for a test and for a mail of the account.
    notification_id uuid REFERENCES notifications ON DELETE SET NULL,
    event_id        uuid NOT NULL,
    event_type      text NOT NULL CHECK (char_length(event_type) <= 100),
    task_id         uuid,
    -- The envelope as it came, which is what a webhook gets byte for byte.
    event           text NOT NULL,
    state           text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed')),
    attempts        integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- An attempt that began and whose outcome is not known yet, or never will be.
    trying_since    timestamptz,
    -- Its message may have arrived more than once.
    maybe_repeated  boolean NOT NULL DEFAULT false,
    status          integer,
    error           text CHECK (char_length(error) <= 1000),
    due_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at         timestamptz
);
CREATE INDEX deliveries_due ON deliveries (channel_id, due_at, id) WHERE state = 'waiting';
CREATE INDEX deliveries_channel ON deliveries (channel_id, created_at DESC, id DESC);
CREATE INDEX deliveries_notification ON deliveries (notification_id);
CREATE INDEX deliveries_age ON deliveries (created_at);

-- Mails that prove who owns an address. Their tokens are made when they are sent.
CREATE TABLE mails (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    purpose    text NOT NULL CHECK (purpose IN ('verify')),
    -- The address that is proved: a token proves no other one.
    email_key  text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    used_at    timestamptz
);
CREATE INDEX mails_user ON mails (user_id, created_at DESC);

CREATE TABLE mail_tokens (
    -- SHA-256 of the token: a copy of this table proves nothing. A repeated mail has its own.
    token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    mail_id    uuid NOT NULL REFERENCES mails ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX mail_tokens_mail ON mail_tokens (mail_id);
