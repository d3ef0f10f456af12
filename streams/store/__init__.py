"""The tables: SQL stands beside its one function."""
