"""The mock provider itself: what the other tests rely on."""

import json
import subprocess
import zlib

import pytest
from harness import program, wait_for
from http1 import Client, Closed


def chat(stream=False, model="mock-fast", **more):
    return json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}], **more}).encode()


@pytest.fixture
def client(mock):
    with Client(mock.port) as c:
        yield c


def events(client):
    found = []
    while (event := client.event()) is not None:
        found.append(event)
    return found


def run(*flags):
    return subprocess.run([program("weir-mock-provider"), *flags], capture_output=True, text=True, check=False)


WRONG = [["--nonsense", "1"], ["--latency-ms", "soon"], ["--latency-ms"], ["--fault", "earthquake"], ["--listen", "nowhere"]]


def test_help_version_and_wrong_usage():
    assert "--close-idle-random" in run("--help").stdout
    assert run("--version").stdout.startswith("weir-mock-provider ")
    for flags in WRONG:
        wrong = run(*flags)
        assert wrong.returncode == 2 and "see --help" in wrong.stderr, flags


@pytest.mark.parametrize("workers", ["1", "2"])
def test_port_in_use(mock, workers):
    second = run("--listen", f"127.0.0.1:{mock.port}", "--workers", workers)
    assert second.returncode == 1 and f"127.0.0.1:{mock.port}" in second.stderr


def test_openai_chat(client):
    r = client.post("/v1/chat/completions", chat(), [("x-mock-tokens", "3"), ("x-mock-token-bytes", "4")])
    assert r.status == 200 and r.get("content-type") == "application/json"
    answer = r.json()
    assert answer["choices"][0]["message"]["content"] == "t0. t1. t2. "
    assert answer["usage"]["completion_tokens"] == 3
    assert answer["model"] == "mock-fast"


def test_token_limit_cuts_the_answer(client):
    answer = client.post("/v1/chat/completions", chat(max_tokens=2)).json()
    assert answer["usage"]["completion_tokens"] == 2 and answer["choices"][0]["finish_reason"] == "length"


def test_openai_stream(client):
    client.ask("POST", "/v1/chat/completions", [("x-mock-tokens", "2")], chat(True, stream_options={"include_usage": True}))
    assert client.response_head().get("content-type").startswith("text/event-stream")
    found = events(client)
    assert found[-1] == "data: [DONE]"
    parsed = [json.loads(e.removeprefix("data: ")) for e in found[:-1]]
    assert [p["choices"][0]["delta"].get("content") for p in parsed if p["choices"]] == ["", "t0..... ", "t1..... ", None]
    assert parsed[-1]["usage"]["completion_tokens"] == 2


def test_anthropic_message_and_stream(client):
    r = client.post("/v1/messages", chat(max_tokens=5), [("x-mock-tokens", "5")])
    assert r.json()["content"][0]["text"].startswith("t0") and r.json()["usage"]["output_tokens"] == 5
    client.ask("POST", "/v1/messages", [("x-mock-tokens", "2")], chat(True, max_tokens=9))
    client.response_head()
    names = [e.split("\n")[0] for e in events(client)]
    assert names == [
        f"event: {n}"
        for n in (
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        )
    ]


def test_models_and_embeddings(client):
    assert "mock-fast" in [m["id"] for m in client.get("/v1/models").json()["data"]]
    body = json.dumps({"model": "e", "input": "x"}).encode()
    assert client.post("/v1/embeddings", body).json()["data"][0]["embedding"] == [0, 0.25, 0.5, 0.75]


BAD_BODIES = [b"", b"{", b"[]", b'{"model":1,"messages":[]}', b'{"model":"m"}', b'{"model":"m","messages":[],"max_tokens":-1}']


@pytest.mark.parametrize("body", BAD_BODIES)
def test_bad_requests_are_told_so(client, body):
    r = client.post("/v1/chat/completions", body)
    assert r.status == 400 and r.json()["error"]["type"] == "invalid_request_error"
    assert client.post("/v1/messages", body).json()["type"] == "error"


def test_status_by_header_and_by_model(client):
    r = client.post("/v1/chat/completions", chat(), [("x-mock-status", "503"), ("x-mock-retry-after", "7")])
    assert (r.status, r.get("retry-after")) == (503, "7")
    r = client.post("/v1/messages", chat(model="mock-429"))
    assert (r.status, r.get("retry-after"), r.json()["error"]["type"]) == (429, "1", "rate_limit_error")


def test_misspelt_knob_is_an_error(client):
    assert client.get("/echo", [("x-mock-latencyms", "1")]).status == 400
    assert client.get("/echo", [("x-mock-latency-ms", "1s")]).status == 400
    assert client.get("/nowhere").status == 404


def test_gate_lets_one_step_through_at_a_time(mock, client):
    client.ask("POST", "/v1/chat/completions", [("x-mock-gate", "g"), ("x-mock-tokens", "2")], chat(True))
    mock.wait_waiting("g")
    mock.steps("g")
    client.response_head()
    assert '"role"' in client.event()
    for i in range(2):
        mock.wait_waiting("g")
        mock.steps("g")
        assert f"t{i}." in client.event()
    assert len(events(client)) == 2


def test_interim_trailers_close_and_head(client):
    r = client.get("/echo", [("x-mock-interim", "103, 102"), ("x-mock-trailers", "1")])
    assert [i.status for i in r.interim] == [103, 102] and r.trailer("x-mock-done") == "yes"
    assert client.request("HEAD", "/bench?bytes=100").get("content-length") == "100"
    assert client.request("GET", "/echo", [("x-mock-status", "204")]).status == 204
    assert client.get("/echo", [("x-mock-close", "1")]).get("connection") == "close"
    assert client.at_end()


def test_silent_close_and_raw(mock, client):
    assert client.get("/echo", [("x-mock-silent-close", "1")]).get("connection") is None
    assert client.at_end()
    with Client(mock.port) as c:
        c.ask("GET", "/echo", [("x-mock-raw", "HTTP/1.1 299 Odd%0D%0A%0D%0Aabc%")])
        assert c.to_end() == b"HTTP/1.1 299 Odd\r\n\r\nabc%"


@pytest.mark.parametrize("fault", ["reset-before-head", "close-before-head"])
def test_no_answer(client, fault):
    client.ask("GET", "/echo", [("x-mock-fault", fault)])
    with pytest.raises((ConnectionResetError, Closed)):
        client.response_head()


@pytest.mark.parametrize("fault", ["reset-after-head", "reset-mid-body", "truncate"])
@pytest.mark.parametrize("stream", [False, True])
def test_part_of_an_answer(client, fault, stream):
    client.ask("POST", "/v1/chat/completions", [("x-mock-fault", fault)], chat(stream))
    assert client.response_head().status == 200
    with pytest.raises((ConnectionResetError, Closed)):
        while client.event() is not None if stream else client.exactly(1):
            pass


@pytest.mark.parametrize("fault", ["stall-before-head", "stall-after-head", "stall-mid-body"])
def test_stall_is_seen_when_given_up(mock, fault):
    with Client(mock.port) as c:
        c.ask("POST", "/v1/chat/completions", [("x-mock-fault", fault)], chat(True))
        mock.wait_stats(lambda s: s["requests"]["open"] == 1, "the request")
        if "before" not in fault:
            c.response_head()
    s = mock.wait_stats(lambda s: s["aborted"]["total"] == 1, "the abort")
    assert s["aborted"]["stalled"] == 1 and s["aborted"]["last_ms_ago"] >= 0
    assert s["connections"]["closed_by_client"] == 1 and s["connections"]["open"] == 0


def test_error_event(client):
    client.ask("POST", "/v1/messages", [("x-mock-fault", "error-event"), ("x-mock-fault-after", "1")], chat(True))
    client.response_head()
    assert events(client)[-1].startswith("event: error")


def test_echo(client):
    fields = [("X-Own", "a"), ("x-own", "b"), ("Transfer-Encoding", "chunked")]
    seen = client.request("PUT", "/echo/x?y=1", fields, b"3\r\nabc\r\n0\r\nTr: 1\r\n\r\n").json()
    assert (seen["method"], seen["target"], seen["authority"], seen["version"]) == ("PUT", "/echo/x?y=1", "weir-test", 11)
    assert [v for n, v in seen["headers"] if n == "x-own"] == ["a", "b"]
    assert seen["body_bytes"] == 3 and seen["body_adler32"] == zlib.adler32(b"abc")
    assert seen["trailers"] == [["tr", "1"]]


def test_echo_body_streams(client):
    client.send("POST /echo/body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.response_head()
    for piece in (b"one", b"two"):
        client.send(b"3\r\n" + piece + b"\r\n")
        assert client.chunk() == piece
    client.send("0\r\nx-after: all\r\n\r\n")
    assert client.chunk() == b"" and client.trailer_fields() == [("x-after", "all")]


def test_upload_and_download(client):
    data = bytes(range(251)) * 9000
    assert client.post("/upload", data).json() == {"bytes": len(data), "adler32": zlib.adler32(data)}
    assert client.get(f"/download?bytes={len(data) - 5}").body == data[:-5]
    r = client.get("/download?bytes=100000&chunked=1")
    assert r.get("transfer-encoding") == "chunked" and r.body == data[:100000]


def test_expect_continue(client):
    fields = [("Expect", "100-continue"), ("Content-Length", "2")]
    client.ask("POST", "/upload", fields)
    assert client.response_head().status == 100
    client.send("ab")
    assert client.response().json()["bytes"] == 2
    client.ask("POST", "/upload", [*fields, ("x-mock-reject-expect", "1")])
    assert client.response().status == 417


def test_early_answer(client):
    client.ask("POST", "/upload", [("Content-Length", "4"), ("x-mock-early", "1"), ("x-mock-status", "413")])
    assert client.response().status == 413


def test_counts(mock):
    with Client(mock.port) as a, Client(mock.port) as b:
        a.get("/echo")
        b.get("/echo")
        a.get("/stats")
        s = mock.stats()
        closed = {"closed_by_client": 0, "closed_by_mock": 0, "closed_idle": 0}
        assert s["connections"] == {"accepted": 2, "open": 2, "open_max": 2, **closed}
        assert s["requests"]["total"] == 2 and s["requests"]["open"] == 0
    mock.wait_stats(lambda s: s["connections"]["open"] == 0, "the clients to be gone")
    mock.reset_stats()
    assert mock.stats()["connections"]["accepted"] == 0


def test_plan_changes_while_it_runs(stage):
    m = stage.mock("--tokens", "3")
    m.plan(status=429, retry_after="Wed, 21 Oct 2065 07:28:00 GMT")
    with Client(m.port) as c:
        r = c.post("/v1/chat/completions", chat())
        assert (r.status, r.get("retry-after")) == (429, "Wed, 21 Oct 2065 07:28:00 GMT")
        assert c.get("/echo", [("x-mock-status", "200")]).status == 200
        m.plan(fault="reset-before-head")
        c.ask("GET", "/echo")
        with pytest.raises((ConnectionResetError, Closed)):
            c.response_head()
    m.plan()
    with Client(m.port) as c:
        assert c.post("/v1/chat/completions", chat()).json()["usage"]["completion_tokens"] == 3
    with Client(m.control) as c:
        assert c.post("/plan?nonsense=1", b"").status == 400 and c.post("/plan?status=x", b"").status == 400
        assert c.post("/plan?status", b"").status == 400


def test_faults_do_not_reach_the_control_paths(stage):
    m = stage.mock("--fault", "reset-mid-body", "--close", "1", "--padding-bytes", "100")
    assert m.stats()["requests"]["total"] == 0
    m.plan(fault="truncate")
    assert m.arrivals() == []


def test_plan_reaches_all_workers(stage):
    m = stage.mock("--workers", "3")
    m.plan(status=503)
    for _ in range(20):
        with Client(m.port) as c:
            assert c.get("/echo").status == 503


def test_down_and_up(mock, client):
    assert client.get("/echo").status == 200
    client.ask("POST", "/v1/chat/completions", [("x-mock-fault", "stall-mid-body")], chat(True))
    client.response_head()
    mock.down()
    with pytest.raises(ConnectionResetError):
        client.to_end()
    mock.down()
    with pytest.raises(ConnectionRefusedError):
        Client(mock.port)
    for _ in range(2):
        mock.up()
        with Client(mock.port) as c:
            assert c.get("/echo").status == 200
            c.ask("POST", "/listen?open=0")  # only by the control listener
            assert c.response().status == 400
    mock.down()  # and it ends well so


def test_arrivals(mock, client):
    for _ in range(3):
        client.get("/echo")
    first = mock.arrivals()
    assert len(first) == 3 and first == sorted(first)
    client.get("/echo")
    assert len(mock.arrivals(3)) == 1 and mock.arrivals(3)[0] >= first[2]
    assert mock.arrivals(9) == []
    mock.reset_stats()
    assert mock.arrivals() == []


def test_closes_idle_connections(stage):
    after = stage.mock("--close-idle-after", "1")
    with Client(after.port) as c:
        c.get("/echo")
        assert c.at_end()
    random = stage.mock("--close-idle-random", "1", "--close-idle-window", "1")
    for _ in range(4):
        with Client(random.port) as c:
            c.get("/echo")
            assert c.at_end()
    assert random.stats()["connections"]["closed_idle"] == 4


def test_several_workers(stage):
    m = stage.mock("--workers", "3")
    for _ in range(20):
        with Client(m.port) as c:
            assert c.get("/v1/models").status == 200
    wait_for(lambda: m.stats()["connections"]["closed_by_client"] == 20, "all to be counted")


def test_name_and_rate(stage):
    m = stage.mock("--name", "blue", "--fault-rate", "0.5", "--status", "500")
    with Client(m.port) as c:
        seen = [c.get("/echo").status for _ in range(100)]
        assert {200, 500} == set(seen)
        assert c.get("/echo", [("x-mock-fault-rate", "0")]).get("x-mock-name") == "blue"
