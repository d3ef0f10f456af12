"""Effects and offsets commit together: all that a worker writes goes through here."""
