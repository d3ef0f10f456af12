"""Problems: the contract's types, each with its status."""

import json

import pytest

from schemas.problems import FieldError, Problem, ProblemBody, ProblemError

STATUSES = {
    "malformed": 400,
    "unauthenticated": 401,
    "not-found": 404,
    "method-not-allowed": 405,
    "conflict": 409,
    "email-taken": 409,
    "gone": 410,
    "precondition-failed": 412,
    "too-large": 413,
    "unsupported-media-type": 415,
    "validation": 422,
    "rate-limited": 429,
    "unavailable": 503,
}


@pytest.mark.parametrize(("code", "status"), STATUSES.items())
def test_each_problem_of_the_contract_has_its_type_and_status(code: str, status: int) -> None:
    (problem,) = [one for one in Problem if one.code == code]
    assert problem.urn == f"urn:taskflow:problem:{code}"
    assert problem.status == status
    assert problem.title


def test_no_two_problems_have_one_type() -> None:
    assert len({problem.urn for problem in Problem}) == len(Problem)


def test_a_problem_is_written_with_all_members_of_the_contract() -> None:
    body = ProblemBody(
        type=Problem.VALIDATION.urn, title="t", status=422, detail="d", request_id="r"
    )
    assert json.loads(body.model_dump_json()) == {
        "type": "urn:taskflow:problem:validation",
        "title": "t",
        "status": 422,
        "detail": "d",
        "request_id": "r",
        "errors": [],
    }
    error = FieldError(field="/a", rule="r", message="m")
    assert error.model_dump() == {"field": "/a", "rule": "r", "message": "m"}


def test_two_errors_of_one_problem_are_two_and_may_be_kept_in_a_set() -> None:
    first, second = (ProblemError(Problem.GONE, "It was here.") for _ in range(2))
    assert len({first, second}) == 2
    assert first.errors == ()
    assert first.retry_after_s is None
