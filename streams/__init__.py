"""The log, the tables, and the workers between them."""
