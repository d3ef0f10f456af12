"""Tests: each name or docstring is a claim about TaskFlow."""
