"""A program on a terminal of its own, and what the terminal shows: pyte does what a terminal would do.

    terminal = Terminal([program("weirctl"), "top"], columns=100, rows=30)
    wait_for(lambda: "q quits" in terminal.text(), "the line of keys")
    terminal.type("s")
    terminal.close()
"""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios

import pyte
from harness import wait_for


class Screen(pyte.Screen):
    """pyte knows no dim text: it is kept as italics, which nothing here uses."""

    def select_graphic_rendition(self, *attributes, **more):
        super().select_graphic_rendition(*(3 if a == 2 else a for a in attributes), **more)


class Terminal:
    def __init__(self, argv, columns=100, rows=30, **env):
        self.screen = Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""  # all that the program has written
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.slave = slave  # kept open, so that what is written can be read after the program's end
        self.resize(columns, rows)
        environ = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        self.popen = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, preexec_fn=self._take_terminal,
            env={**environ, "TERM": "linux", "LC_ALL": "C.UTF-8", **env},
        )

    def _take_terminal(self):
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, columns, rows):
        """As a window manager does it: the program hears of it by a signal."""
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        while select.select([self.master], [], [], 0.02)[0]:
            piece = os.read(self.master, 65536)
            self.raw += piece
            self.stream.feed(piece)

    def text(self):
        """What is to be seen now, line by line."""
        self.read()
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip("\n")

    def line(self, number):
        """Empty while the screen is, as it is being drawn."""
        lines = self.text().split("\n")
        return lines[number] if -len(lines) <= number < len(lines) else ""

    def type(self, keys):
        os.write(self.master, keys.encode())

    def wait_text(self, *texts):
        wait_for(lambda: all(t in self.text() for t in texts), f"the terminal to show {texts}; it shows:\n{self.text()}")

    def wait_end(self):
        """The program's exit code."""
        wait_for(lambda: (self.read() or True) and self.popen.poll() is not None, "the program to end")
        self.read()
        return self.popen.returncode

    def is_restored(self):
        """Whether lines are edited and keys echoed as before, the cursor shows, and a second screen has been left."""
        self.read()

        def is_last(wanted, opposite):
            return self.raw.rfind(wanted) >= self.raw.rfind(opposite)

        shown = is_last(b"\x1b[?25h", b"\x1b[?25l") and is_last(b"\x1b[?1049l", b"\x1b[?1049h")
        return termios.tcgetattr(self.slave) == self.before and shown

    def close(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGKILL)
            self.popen.wait()
        os.close(self.master)
        os.close(self.slave)
