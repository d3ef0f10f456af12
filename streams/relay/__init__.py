"""The relay: it alone publishes to the three topics, what it finds in the outbox."""
