DROP TABLE mail_tokens;
DROP TABLE mails;
DROP TABLE deliveries;
DROP TABLE channels;
DROP TABLE notifications;
ALTER TABLE users DROP COLUMN email_verified_at;
