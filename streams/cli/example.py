"""The example that `taskflow up` prints and the README shows; the tests run it as it stands."""

EXAMPLE = """\
eval "$(.venv/bin/taskflow register)"
.venv/bin/taskflow watch --background --count 1
curl -sS -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{"title":"Pay rent"}' "$API_URL/api/$USER_ID/tasks"
"""  # noqa: E501 - three lines, to be pasted
