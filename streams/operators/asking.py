"""Asking before something is changed: at a terminal, or not at all."""

import sys


class RefusedError(RuntimeError):
    """The command did nothing; the message says why, and what to do."""


def ask(question: str, *, yes: bool) -> None:
    """Return if the operator agrees, or has with `--yes`; raise `RefusedError` otherwise.

    Without a terminal nobody is asked: an answer that comes from a pipe is nobody's.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError("Nothing was done: nobody is here to be asked. Add --yes to go on.")
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() != "y":
        raise RefusedError("Nothing was done.")
