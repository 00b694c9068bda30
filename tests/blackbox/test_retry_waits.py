"""How long a node waits before it tries again: backoff, Retry-After, and the deadline over all tries."""

import email.utils
import time

import pytest
from retrying import CLOCK_SLACK_S, OK, access, error, get, node_for, silent, timed


def gaps(times):
    return [b - a for a, b in zip(times, times[1:])]


def test_backoff_doubles_up_to_its_bound(stage):
    script, times = timed(error())
    upstream = stage.upstream(script)
    retry = {"attempts": 4, "backoff_factor": 0.1, "backoff_max_delay": 0.3, "jitter": "none"}
    assert get(node_for(stage, upstream, retry)).status == 500
    assert len(times) == 5
    for gap, least in zip(gaps(times), [0.1, 0.2, 0.3, 0.3]):
        assert gap >= least - CLOCK_SLACK_S


def test_full_jitter_draws_below_the_bound(stage):
    """All of twenty draws in the upper half of a range happen once in a million runs."""
    node_gaps = []
    for _ in range(5):
        script, times = timed(error())
        upstream = stage.upstream(script)
        node = node_for(stage, upstream, {"attempts": 4, "backoff_factor": 1, "backoff_max_delay": 1, "jitter": "full"})
        assert get(node).status == 500
        node_gaps += gaps(times)
    assert len(node_gaps) == 20 and min(node_gaps) < 0.5
    assert max(node_gaps) - min(node_gaps) > 0.1


def test_retry_after_in_seconds_is_a_floor(stage):
    script, times = timed(error(429, fields="Retry-After: 1\r\n"), OK)
    assert get(node_for(stage, stage.upstream(script))).status == 200
    assert times[1] - times[0] >= 1 - CLOCK_SLACK_S


def test_retry_after_as_a_date_is_a_floor(stage):
    due = []

    def answer():
        due.append(int(time.time()) + 2)
        return error(503, fields=f"Retry-After: {email.utils.formatdate(due[0], usegmt=True)}\r\n")

    script, times = timed(answer, lambda: due.append(time.time()) or OK)
    assert get(node_for(stage, stage.upstream(script))).status == 200
    assert due[1] >= due[0] - CLOCK_SLACK_S


@pytest.mark.parametrize("after", ["100", "Wed, 21 Oct 2065 07:28:00 GMT"])
def test_retry_after_beyond_the_deadline_gives_up_at_once(stage, after):
    upstream = stage.upstream([error(429, b'{"error":"slow down"}', f"Retry-After: {after}\r\nX-Own: 1\r\n"), OK])
    node = node_for(stage, upstream, {"deadline": 20})
    r = get(node)
    assert (r.status, r.body, r.get("retry-after"), r.get("x-own")) == (429, b'{"error":"slow down"}', after, "1")
    assert len(upstream.requests) == 1 and access(node)[0]["not_retried"] == "retry_after"
    assert node.metric("weir_retries_refused_total", reason="retry_after") == 1


def test_retry_after_of_one_does_not_bind_another(stage):
    """An hour's wait is that endpoint's affair while another can be asked."""
    sick = stage.upstream([error(429, fields="Retry-After: 3600\r\n")])
    well = stage.upstream([OK])
    node = node_for(stage, [sick, well])
    assert [get(node).status for _ in range(6)] == [200] * 6
    assert len(well.requests) == 6 and len(sick.requests) >= 1


def test_retry_after_that_is_nonsense_is_ignored(stage):
    upstream = stage.upstream([error(503, fields="Retry-After: soon\r\n"), OK])
    assert get(node_for(stage, upstream)).status == 200


def test_the_deadline_bounds_all_tries(stage):
    """Each try takes half a second at least: five of them can begin before the deadline, not eleven."""
    upstream = stage.upstream(silent)
    retry = {"attempts": 10, "deadline": 2.25}
    node = node_for(stage, upstream, retry, timeout={"read": 0.5, "total": 60})
    assert get(node).status == 504
    assert 2 <= access(node)[0]["attempts"] <= 5


def test_a_wait_beyond_the_deadline_is_not_begun(stage):
    upstream = stage.upstream([error(500, b"why"), OK])
    node = node_for(stage, upstream, {"backoff_factor": 30, "jitter": "none", "deadline": 20})
    r = get(node)
    assert (r.status, r.body) == (500, b"why") and access(node)[0]["not_retried"] == "deadline"
