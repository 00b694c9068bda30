"""What the documents hold: their snippets and the command lines that a reader may type, and a shell that types them.

Command lines stand in indented blocks, or in fences that name no language; figures and other programs' files stand there,
too, and begin with no command's name. What a comment stands before (<!-- ... -->) is output that another test looks after.
"""

import os
import re
import subprocess
import textwrap
from collections import defaultdict
from typing import NamedTuple

import harness
from cluster import Redis
from harness import ROOT, Process, free_port, wait_for

PAGES = ["README.md", "CONTRIBUTING.md", "tests/bench/README.md", "tests/sim/README.md",
         *sorted(str(p.relative_to(ROOT)) for folder in ("docs", "deploy") for p in (ROOT / folder).rglob("*.md"))]
BLOCK = re.compile(
    r"^##+ (?P<title>.*)$"
    r"|^ *```(?P<language>\w*)\n(?P<fenced>(?:.*\n)*?) *```$"
    r"|^<!-- .* -->\n\n(?P<shown>(?:    .*\n|\n(?=    ))+)"
    r"|(?<=\n\n)(?P<indented>(?:    .*\n|\n(?=    ))+)",
    re.M,
)
# What a line in a fence must begin with to be a command, since figures stand there.
PROGRAM = re.compile(r"((scripts|tests|build|\.ci)/\S+|weir\S+|curl|sudo|kubectl|docker\S*|cmake|perf|kill|npm|node)( (?!-{3})|$)")
# What begins an indented block that holds no commands: formulas, a shard map, a peer's header, a screen.
FIGURES = ("seed  =", "claim =", "weir-shard-map 1", "x-weir-peer:", "size =", "connect =", "B + R x", "weir n1, cluster")


class Block(NamedTuple):
    section: str
    language: str  # of the fence; None: indented
    text: str

    def commands(self):
        """Its lines without their comments; one that goes on in the next line is one."""
        if self.language or self.text.startswith(FIGURES):
            return []
        lines = re.sub(r" *\\\n\s*", " ", self.text).splitlines()
        lines = [re.sub(r"\s+#\s.*", "", line).strip() for line in lines]
        return [line for line in lines if line and (self.language is None or PROGRAM.match(line))]


def blocks(page):
    section = None
    for found in BLOCK.finditer((ROOT / page).read_text()):
        if found["title"]:
            section = found["title"]
        elif found["shown"]:
            yield Block(section, "output", textwrap.dedent(found["shown"]))
        elif found["indented"]:
            yield Block(section, None, textwrap.dedent(found["indented"]))
        else:
            yield Block(section, found["language"], textwrap.dedent(found["fenced"]))


class Shell:
    """Follows a page in a folder: its snippets are weir.yaml and hello.mjs there, its programs are the built ones, its ports free ones."""

    STARTS = re.compile(r"(build/bin/)?weir-(node|coordinator|mock-provider) (?!--check)")

    def __init__(self, stage):
        self.stage = stage
        self.folder = stage.scratch / "typed"
        self.folder.mkdir()
        (self.folder / "build").symlink_to(harness.BUILD)
        (self.folder / "tests").symlink_to(ROOT / "tests")
        (self.folder / "openai.key").write_text("sk-test")
        redis = Redis(stage.scratch)
        stage.running.append(redis.finish)
        self.ports = defaultdict(free_port, {"6379": redis.port})
        self.serving = {}  # by the line that started it

    def moved(self, text):
        """With everybody's addresses on loopback, and ports that nobody else has."""
        text = re.sub(r"\b(0\.0\.0\.0|redis\.internal)(?=:\d)", "127.0.0.1", text)
        text = re.sub(r"\b10\.0\.0(?=\.\d+:\d)", "127.0.0", text)
        return re.sub(r"(localhost:|127\.0\.0\.\d+:)(\d+)", lambda at: f"{at[1]}{self.ports[at[2]]}", text)

    def env(self):
        return {"PATH": f"{harness.BUILD / 'bin'}:{os.environ['PATH']}", "WEIR_NODE": self.moved("http://127.0.0.1:8000")}

    def follow(self, page, section, elsewhere):
        """All lines of the section but those that are typed elsewhere."""
        for block in blocks(page):
            if block.section == section and block.language == "yaml":
                self.configure(block.text)
            elif block.section == section and block.language == "js":
                (self.folder / "hello.mjs").write_text(self.moved(block.text))
                self.type("node hello.mjs")
            elif block.section == section:
                for command in block.commands():
                    if command not in elsewhere:
                        self.type(command)

    def configure(self, text):
        """A snippet without providers is added to the one before. Hints come by the second, not by the minute."""
        path = self.folder / "weir.yaml"
        text = self.moved(text).replace("analytics: {enabled: true}", "analytics: {enabled: true, sample_interval: 1}")
        path.write_text(text if re.search(r"^providers:", text, re.M) else path.read_text() + text)

    def type(self, command):
        """Starts a program that serves, anew if it does; any other command must succeed in the end, and show no mere error."""
        command = self.moved(command.removesuffix(" &"))
        if not self.STARTS.match(command):
            wait_for(lambda: self.shows(command), f"success of: {command}")
            return
        if command in self.serving:
            self.serving[command].finish()
        name = f"typed{next(self.stage.number)}"
        process = Process(["bash", "-c", f"cd {self.folder} && exec {command}"], self.stage.scratch, name, env=self.env())
        self.serving[command] = process
        self.stage.running.append(process.finish)

    def shows(self, command):
        script = f"set -o pipefail\n{command}"
        env = {**os.environ, **self.env()}
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=env, cwd=self.folder, timeout=60)
        said = done.stdout + done.stderr
        assert done.returncode == 0 and done.stdout and not re.match(r'\s*\{\s*"error"', done.stdout), said
        return True
