"""Channels: how a message leaves for where its user wants it."""
