"""weirctl top on a real terminal: keys, sizes, colours, and how it leaves the terminal behind."""

import signal

import pytest
from cluster import Cluster
from ctl import weirctl
from harness import program, wait_for
from terminal import Terminal


@pytest.fixture
def trio(stage, mock):
    cluster = Cluster(stage, shard_count=24)
    cluster.nodes(3, {"mock": {"base_url": mock.url}, "spare": {"base_url": mock.url}})
    return cluster


@pytest.fixture
def top(stage, trio):
    """Starts it: top(columns=, rows=, environment)."""

    def start(node=None, **options):
        url = f"http://127.0.0.1:{(node or trio.members[0]).port}"
        terminal = Terminal([program("weirctl"), "top", "--interval", "0.2", "--node", url], **options)
        stage.running.append(terminal.close)
        return terminal

    return start


def rows(terminal, *names):
    """The names of nodes or pools, in the order in which they are shown."""
    first = [line.split()[0] for line in terminal.text().splitlines() if line.split()]
    return [word for word in first if word in names]


def nodes(terminal):
    return rows(terminal, "n1", "n2", "n3")


def test_keys(top, stage, mock, trio):
    terminal = top()
    terminal.wait_text("3 of 3 nodes", "mock", "spare", "by name", "q quits")
    wait_for(lambda: nodes(terminal) == ["n1", "n2", "n3"], "the nodes by name")
    terminal.type("r")
    wait_for(lambda: nodes(terminal) == ["n3", "n2", "n1"], "the nodes by name, backwards")
    terminal.type("r/")
    terminal.wait_text("filter: _")
    terminal.type("n2x\x7f")
    wait_for(lambda: nodes(terminal) == ["n2"] and "filter: n2_" in terminal.text(), "the one that the filter names")
    terminal.type("\n")
    terminal.wait_text("only *n2*", "no pools", "q quits")
    terminal.type("/\x1b")
    wait_for(lambda: nodes(terminal) == ["n1", "n2", "n3"], "all of them again")
    mock.plan(gate="g")
    with trio.members[1].client() as client:
        client.ask("GET", "/mock/v1/models")
        mock.wait_waiting("g")
        terminal.type("s")
        terminal.wait_text("by requests in flight")
        wait_for(lambda: nodes(terminal)[0] in serving(trio), "the one that has something to do first")
        mock.steps("g", "all")
        assert client.response().status == 200
    terminal.type("q")
    assert terminal.wait_end() == 0 and terminal.is_restored()


def serving(cluster):
    return [n.id for n in cluster.members if n.pool("mock")["connections_active"] > 0]


def test_sizes(top):
    terminal = top(columns=120, rows=40)
    terminal.wait_text("3 of 3 nodes", "spare")
    for columns, lines in ((60, 12), (20, 5), (3, 2), (1, 1), (100, 30)):
        terminal.resize(columns, lines)
        # What is drawn never leaves the screen, so the line of keys is always the last one.
        wait_for(lambda: terminal.line(-1)[:1] == "q" and len(terminal.text().split("\n")) == lines, f"{columns} x {lines}")
        assert terminal.popen.poll() is None
    terminal.wait_text("3 of 3 nodes", "spare")
    terminal.resize(80, 8)
    wait_for(lambda: nodes(terminal) == ["n1"], "the end to be cut off")
    for _ in range(5):
        terminal.type("\x1b[B")  # down
    wait_for(lambda: nodes(terminal) == ["n1", "n2", "n3"] and "3 of 3" not in terminal.text(), "the lines further down")


def test_the_end_is_as_far_as_it_scrolls(top):
    terminal = top(columns=80, rows=30)
    terminal.wait_text("3 of 3 nodes", "spare")
    terminal.resize(80, 8)
    wait_for(lambda: nodes(terminal) == ["n1"], "the end to be cut off")
    for key in ("\x1b[B" * 60, "\x1b[6~" * 20):  # down, page down
        terminal.type(key)
        wait_for(lambda: terminal.line(-2).startswith("(all)"), "the last line, and none behind it")
    terminal.type("\x1b[A" * 20)  # up, as often as there are lines
    wait_for(lambda: "3 of 3 nodes" in terminal.line(0), "the first line")


def test_the_end_of_a_long_filter_is_seen(top):
    terminal = top(columns=24, rows=10)
    terminal.wait_text("by name", "n3")
    terminal.type("/abcdefghijklmnopqrstuvwxyz")
    wait_for(lambda: terminal.line(-1) == "filter: lmnopqrstuvwxyz_", "what was typed last")
    terminal.type("\x7f" * 25)
    wait_for(lambda: terminal.line(-1) == "filter: a_", "no more of the explanation than fits")
    terminal.resize(80, 10)
    wait_for(lambda: terminal.line(-1) == "filter: a_  (Enter keeps it, Esc drops it)", "all of it")


@pytest.mark.parametrize("env, coloured", [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "vt100"}, False)])
def test_colours(top, env, coloured):
    terminal = top(**env)
    terminal.wait_text("3 of 3 nodes", "active")
    colours = {c.fg for line in terminal.screen.buffer.values() for c in line.values()}
    assert (colours != {"default"}) is coloured, colours


def test_a_terminal_without_utf_8(top):
    terminal = top(LC_ALL="C")
    terminal.wait_text("in flight  _", "3 of 3 nodes")
    assert terminal.raw.isascii()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(top, number):
    terminal = top(TERM="xterm-256color")  # has a second screen, which must be left
    terminal.wait_text("3 of 3 nodes")
    assert not terminal.is_restored()
    if number == signal.SIGINT:
        terminal.type("\x03")
    else:
        terminal.popen.send_signal(number)
    assert terminal.wait_end() == 0 and terminal.is_restored()


def test_the_asked_node_is_lost_and_comes_back(top, trio):
    asked = trio.members[0]
    terminal = top(asked)
    terminal.wait_text("3 of 3 nodes")
    asked.tell(signal.SIGSTOP)
    terminal.wait_text(f"127.0.0.1:{asked.port}: ", "did not come within")
    assert nodes(terminal) == ["n1", "n2", "n3"]  # as it was
    asked.tell(signal.SIGCONT)
    wait_for(lambda: "did not come" not in terminal.text(), "it to be asked again")
    trio.kill(asked)
    terminal.wait_text("refused")
    terminal.type("q")
    assert terminal.wait_end() == 0 and terminal.is_restored()


def test_another_node_is_lost(top, trio):
    terminal = top()
    terminal.wait_text("3 of 3 nodes")
    trio.kill(trio.members[2])
    terminal.wait_text("2 of 3 nodes", "lost")


def test_no_terminal(node):
    done = weirctl("top", node=node)
    assert done.returncode == 2 and not done.stdout and "needs a terminal" in done.stderr
