-- A mail may be asked for by whoever knows an address. Whose it is, the worker finds when it is to
-- be sent: neither an answer nor its time tells whether an account has it.
ALTER TABLE mails ALTER COLUMN user_id DROP NOT NULL;
ALTER TABLE mails DROP CONSTRAINT mails_purpose_check;
ALTER TABLE mails ADD CONSTRAINT mails_purpose_check CHECK (purpose IN ('verify', 'reset'));
ALTER TABLE mails ADD CONSTRAINT mails_owner_check CHECK (user_id IS NOT NULL OR purpose = 'reset');
-- The network of who asked, for its limit; kept for a day.
ALTER TABLE mails ADD COLUMN asked_from text CHECK (char_length(asked_from) <= 100);
CREATE INDEX mails_address ON mails (email_key, created_at) WHERE purpose = 'reset';
CREATE INDEX mails_asked_from ON mails (asked_from, created_at) WHERE asked_from IS NOT NULL;
CREATE INDEX mails_age ON mails (created_at);
