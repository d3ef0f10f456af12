"""The `taskflow` commands."""
