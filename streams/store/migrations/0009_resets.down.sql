DELETE FROM mails WHERE purpose = 'reset';
DROP INDEX mails_age;
DROP INDEX mails_asked_from;
DROP INDEX mails_address;
ALTER TABLE mails DROP COLUMN asked_from;
ALTER TABLE mails DROP CONSTRAINT mails_owner_check;
ALTER TABLE mails DROP CONSTRAINT mails_purpose_check;
ALTER TABLE mails ADD CONSTRAINT mails_purpose_check CHECK (purpose IN ('verify'));
ALTER TABLE mails ALTER COLUMN user_id SET NOT NULL;
