"""The transport carries the log; this package's `interface` is all that callers may know of it."""
