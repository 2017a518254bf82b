"""/processes without a supervisor."""

from __future__ import annotations

from tests.webui.conftest import Api


def test_without_a_supervisor_the_answer_says_so(api: Api) -> None:
    answer = api("GET", "/processes")
    assert answer.status_code == 503
    assert "no appliance runs on" in answer.json()["detail"]
    assert answer.headers["Retry-After"] == "5"
