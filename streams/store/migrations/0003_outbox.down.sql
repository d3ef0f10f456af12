DROP TABLE relay_positions;
DROP TABLE relay_lease;
DROP TABLE outbox;
