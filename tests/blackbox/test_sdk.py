"""The official OpenAI and Anthropic SDKs for Node.js work through a node that they know by its base URL alone."""

import json
import subprocess

from harness import WAIT_S

def run(sdk, url, openai="", anthropic=""):
    command = ["node", "chat.mjs", url, openai, anthropic]
    ran = subprocess.run(command, cwd=sdk, capture_output=True, text=True, timeout=3 * WAIT_S, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


CLASSES = {
    "400": "BadRequestError",
    "401": "AuthenticationError",
    "403": "PermissionDeniedError",
    "404": "NotFoundError",
    "429": "RateLimitError",
    "500": "InternalServerError",
    "503": "InternalServerError",
    "529": "InternalServerError",
}


def check(found, reset):
    text = "".join(f"t{i}".ljust(7, ".") + " " for i in range(16))
    for name, out in (("openai", found["openai"]), ("anthropic", found["anthropic"])):
        assert out["chat"] == text and out["usage"] == 16, name
        assert "".join(out["deltas"]) == text and len(out["deltas"]) == 16, name
        for status, error in out["errors"].items():
            if status in CLASSES:
                assert (error["name"], error["status"]) == (CLASSES[status], int(status)), name
        assert out["errors"]["429"]["retryAfter"] == "1", name
        assert (out["errors"]["reset"]["name"], out["errors"]["reset"]["status"]) == reset, name
        assert out["errors"]["stream"] != "no error", name
    openai, anthropic = found["openai"], found["anthropic"]
    assert openai["streamUsage"] == 16 and openai["embedding"] == [0, 0.25, 0.5, 0.75] and "mock-fast" in openai["models"]
    assert openai["errors"]["401"]["code"] == "invalid_api_key"
    assert openai["errors"]["truncated"] != "no error"
    assert anthropic["final"] == text
    assert anthropic["events"][0] == "message_start" and anthropic["events"][-1] == "message_stop"


def test_sdks_without_weir(sdk, mock):
    """The ground truth: what they see of the mock itself."""
    check(run(sdk, mock.url), ("APIConnectionError", None))


def test_sdks_through_one_provider(sdk, mock, node):
    check(run(sdk, f"http://127.0.0.1:{node.port}"), ("InternalServerError", 502))
    mock.wait_stats(lambda s: s["requests"]["open"] == 0, "the stream that was left to be cancelled")
    assert mock.stats()["aborted"]["streaming"] == 1


def test_sdks_through_named_providers(sdk, stage):
    node = stage.node({"openai": stage.mock(), "anthropic": stage.mock()})
    check(run(sdk, f"http://127.0.0.1:{node.port}", "/openai", "/anthropic"), ("InternalServerError", 502))
