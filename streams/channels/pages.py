"""Mails as pages of a local folder: what a developer looks at instead of a mailbox.

There are tokens in them, so the folder and its files are for their owner alone.
"""

import os
from email.message import EmailMessage
from html import escape
from pathlib import Path

PAGES_MAX = 200
"""Mails that are kept, the newest; their ids sort by the name that `keep_page` gives."""


def keep_page(directory: Path, mail: EmailMessage) -> None:
    """Write one mail as a page, and the index anew; each file is written whole."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = str(mail["Message-ID"]).strip("<>").partition("@")[0]
    stamp = mail["Date"].datetime.strftime("%Y%m%dT%H%M%S")
    _write(directory / f"{stamp}-{key}.html", _page(mail))
    pages = sorted(directory.glob("2*.html"), reverse=True)
    for old in pages[PAGES_MAX:]:
        old.unlink(missing_ok=True)
    links = "\n".join(
        f'<li><a href="{page.name}">{page.stem}</a></li>' for page in pages[:PAGES_MAX]
    )
    _write(
        directory / "index.html",
        f"<!doctype html><meta charset=utf-8><title>Mails</title><ul>\n{links}\n</ul>\n",
    )


def _page(mail: EmailMessage) -> str:
    heads = "\n".join(f"{name}: {value}" for name, value in mail.items())
    html = mail.get_body(("html",))
    content = html.get_content() if html else ""
    return f"{content}\n<pre>{escape(heads)}</pre>\n"


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
