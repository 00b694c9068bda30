"""Clients that keep a cluster busy and note what became of each request, the failed ones too."""

import itertools
import threading
import time

from harness import wait_for
from http1 import Closed


class Tracked:
    """Each on a connection of its own, to something with client(); `fields(n)` are those of its n-th request."""

    def __init__(self, at, clients=4, fields=lambda n: {"x-session-id": f"key-{n % 61}"}):
        self.at, self.fields = at, fields
        self.ending = threading.Event()
        self.number = itertools.count()
        self.done = []  # (target, began, status or what went wrong, response)
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for t in self.threads:
            t.start()

    def _run(self):
        c = None
        while not self.ending.is_set():
            n = next(self.number)
            target, began, r = f"/echo?n={n}", time.monotonic(), None
            try:
                c = c or self.at.client()
                r = c.get(target, headers=list(self.fields(n).items()))
                what = r.status
                if r.get("connection") == "close":
                    c.close()
                    c = None
            except (Closed, OSError) as e:
                what = repr(e)
                if c is not None:
                    c.close()
                c = None
            self.done.append((target, began, what, r))
        if c is not None:
            c.close()

    def more(self, count):
        goal = len(self.done) + count
        wait_for(lambda: len(self.done) >= goal, f"{count} more requests to be over")

    def end(self):
        """All of them."""
        self.ending.set()
        for t in self.threads:
            t.join()
        return self.done

    def failed(self):
        return [d for d in self.done if d[2] != 200]
