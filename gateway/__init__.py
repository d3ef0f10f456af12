"""The websocket gateway: it tails task-updates and knows no database."""
