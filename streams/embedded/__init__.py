"""The servers that `make up` runs itself, and the supervisor of all processes."""
