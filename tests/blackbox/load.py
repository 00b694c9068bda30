"""Clients that keep a node busy while a test changes what is around it."""

import threading

from harness import wait_for


def echo(c, _):
    """One turn: a request that must succeed; who answered it."""
    r = c.get("/echo")
    assert r.status == 200, r
    return r.get("x-mock-name")


class Load:
    """Clients that ask over and over, each on a connection of its own, until the end.

    A turn is called with the client and how many it has had before; what it returns is noted as an answer. One that raises
    ends its client, and fails the test as soon as anybody waits for answers or ends the load.
    """

    def __init__(self, node, clients=4, turn=echo):
        self.node, self.turn = node, turn
        self.ending = threading.Event()
        self.answers, self.wrong = [], []
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for t in self.threads:
            t.start()

    def _run(self):
        number = 0
        try:
            with self.node.client() as c:
                while not self.ending.is_set():
                    self.answers.append(self.turn(c, number))
                    number += 1
        except Exception as e:  # noqa: BLE001 - shown by the test
            self.wrong.append(repr(e))

    def wait(self, condition, what):
        """Until something else holds, unless a turn goes wrong before."""
        wait_for(lambda: self.wrong or condition(), what)
        assert not self.wrong, self.wrong[:3]

    def more(self, count):
        """Until so many more answers have come."""
        goal = len(self.answers) + count
        self.wait(lambda: len(self.answers) >= goal, f"{count} more answers")

    def end(self):
        """All answers, in the order in which they came."""
        self.ending.set()
        for t in self.threads:
            t.join()
        assert not self.wrong, self.wrong[:3]
        return self.answers
