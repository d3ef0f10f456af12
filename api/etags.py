"""Entity tags: a version as a strong one, and the headers that name some (RFC 9110, section 13)."""

from starlette.requests import Request

from schemas.problems import Problem, ProblemError


def etag(version: int) -> str:
    """Give the strong entity tag of a version."""
    return f'"{version}"'


def check_if_match(request: Request, version: int, noun: str) -> None:
    """Raise 412 unless the request names this version of a thing, or none."""
    wanted = _all_lines(request, "if-match")
    if wanted is not None and not _names(wanted, version, weakly=False):
        raise ProblemError(
            Problem.PRECONDITION_FAILED,
            f"The {noun} is at version {version}.",
            headers={"ETag": etag(version)},
        )


def has_already(request: Request, version: int) -> bool:
    """Tell whether the client has this version, by If-None-Match."""
    header = _all_lines(request, "if-none-match")
    return header is not None and _names(header, version, weakly=True)


def _all_lines(request: Request, name: str) -> str | None:
    """Give a list header; several lines of it are one list (RFC 9110, section 5.3)."""
    lines = request.headers.getlist(name)
    return ",".join(lines) if lines else None


def _names(header: str, version: int, *, weakly: bool) -> bool:
    """Tell whether a list of entity tags has the version's; a weak one counts only `weakly`."""
    tags = [tag.strip() for tag in header.split(",")]
    if weakly:
        tags = [tag.removeprefix("W/") for tag in tags]
    return "*" in tags or etag(version) in tags
