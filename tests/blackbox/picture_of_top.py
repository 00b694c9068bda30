#!/usr/bin/python3
"""Makes the picture of `weirctl top` in the documents: a cluster of three nodes under a load that comes and goes, top on a
terminal of 108 columns, and Chromium, which draws what that terminal shows. Takes three minutes.

    /usr/bin/python3 tests/blackbox/picture_of_top.py docs/images/top.png
"""

import html
import itertools
import math
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

from browser import Browser
from cluster import Cluster
from harness import program, wait_for
from stage import Stage
from terminal import Terminal

COLUMNS, ROWS = 108, 16
CLIENTS = 36
WAVE_S = 75  # from one crest of the load to the next
ANALYTICS = {"enabled": True, "sample_interval": 1, "scaling_prediction_window": 60, "safe_concurrency": 30}
TOKENS = ["--tokens", "20", "--token-interval-ms", "60"]
PROMPT = b'{"model": "m", "stream": true, "messages": [{"role": "user", "content": "hello"}]}'

COLOURS = {"default": "#d7dae0", "green": "#8fd18a", "brown": "#e5c07b", "red": "#ef7d85"}
DIM, BACKGROUND = "#868d9a", "#1c1f26"
PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 14px; background: transparent; display: inline-block }}
main {{ background: {background}; border-radius: 9px; overflow: hidden }}
header {{ height: 30px; background: #2a2e37; display: flex; align-items: center; gap: 7px; padding-left: 12px;
          font: 13px Inter, sans-serif; color: {dim} }}
i {{ width: 11px; height: 11px; border-radius: 50%; background: #4a505c }}
b {{ font-weight: normal; margin-left: 8px }}
pre {{ margin: 0; padding: 12px 16px 14px; font: 14.12px/19px "DejaVu Sans Mono", monospace; color: {text} }}
</style><main><header><i></i><i></i><i></i><b>weirctl top</b></header><pre>{lines}</pre></main>"""


class Tide:
    """Clients of whom more and fewer ask, with the time."""

    def __init__(self, nodes):
        self.nodes, self.ending, self.begun = nodes, threading.Event(), time.monotonic()
        for i in range(CLIENTS):
            threading.Thread(target=self._run, args=(i,), daemon=True).start()

    def _wanted(self):
        return CLIENTS * (0.5 - 0.4 * math.cos(2 * math.pi * (time.monotonic() - self.begun) / WAVE_S))

    def _run(self, number):
        node = self.nodes[number % len(self.nodes)]
        target = "/anthropic/v1/messages" if number % 4 == 3 else "/openai/v1/chat/completions"
        with node.client() as client:
            while not self.ending.is_set():
                if number < self._wanted():
                    client.request("POST", target, body=PROMPT, headers=[("content-type", "application/json")])
                    time.sleep(random.random() / 5)
                else:
                    time.sleep(0.2)


def start_cluster(stage):
    def provider():
        return {"base_url": stage.mock(*TOKENS).url, "connection_pool": {"max_connections": 20}}

    cluster = Cluster(stage, shard_count=48, connection_affinity="round_robin")
    cluster.nodes(3, {"openai": provider(), "anthropic": provider()}, analytics=ANALYTICS)
    cluster.coordinator(analytics=ANALYTICS)
    cluster.wait_map()
    return cluster


def style_of(c):
    colour = DIM if c.italics else COLOURS.get(c.fg, COLOURS["default"])
    return f"color:{BACKGROUND};background:{colour}" if c.reverse else f"color:{colour}"


def drawn(line):
    """One line as HTML: a piece for each run of characters of one style, so that blocks touch."""
    runs = itertools.groupby(line, style_of)
    return "".join(f'<span style="{style}">{html.escape("".join(c.data for c in run))}</span>' for style, run in runs)


def page_of(screen):
    lines = "\n".join(drawn(screen.buffer[y][x] for x in range(screen.columns)) for y in range(screen.lines))
    return PAGE.format(background=BACKGROUND, dim=DIM, text=COLOURS["default"], lines=lines)


def draw(stage, screen, path):
    body = page_of(screen).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body)
    with Browser(Path(stage.scratch)) as browser:
        browser.open(f"http://127.0.0.1:{stage.upstream(head + body).port}/", scale=2, width=1000, height=500)
        width, height = browser.run("[document.body.offsetWidth, document.body.offsetHeight]")
        browser.ask("size", width=width, height=height)
        browser.ask("shot", path=os.path.abspath(path), full=False)


def main():
    with tempfile.TemporaryDirectory() as scratch:
        stage = Stage(scratch)
        try:
            cluster = start_cluster(stage)
            tide = Tide(cluster.members)
            url = f"http://127.0.0.1:{cluster.members[0].port}"
            terminal = Terminal([program("weirctl"), "top", "--interval", "1", "--node", url], columns=COLUMNS, rows=ROWS)
            stage.running.append(terminal.close)
            terminal.type("s")  # by requests in flight
            begun = time.monotonic()
            wait_for(lambda: "no forecast" not in terminal.text(), "a forecast", bound=300)
            wait_for(lambda: terminal.text() and time.monotonic() - begun > 2 * WAVE_S + 20, "the load to rise again", bound=300)
            print(terminal.text())
            draw(stage, terminal.screen, sys.argv[1])
            terminal.type("q")
            terminal.wait_end()
            tide.ending.set()
            time.sleep(3)  # the last streams end
        finally:
            stage.close()


main()
