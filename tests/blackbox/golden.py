"""Outputs that are kept in files, word for word, but for what is another one each time.

    assert_golden("weirctl/nodes", with_placeholders(text), renew)  # tests/golden/weirctl/nodes.txt
"""

import difflib
import re

from harness import ROOT

FOLDER = ROOT / "tests" / "golden"

# Each with what stands for it. Widths go with the values, so runs of spaces are cut to two: that columns line up is what
# tests/unit/cli/test_show.c looks at, on answers that do not change.
DURATION = r"(?<![<>] )\b(?:\d+ d \d+ h|\d+ h \d+ min|\d+ min \d+ s|\d+(?:\.\d+)? (?:s|ms|us))\b"  # no target, as in "< 20 ms"
CHANGING = [
    (r"(127\.0\.0\.1|localhost):\d+", r"\1:PORT"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "TIME"),
    (rf"^ *UP TO +REQUESTS\n(^ *{DURATION} +(#+ +)?\d+\n)+", "HISTOGRAM\n"),
    (DURATION, "DURATION"),
    (r"\d+(\.\d+)? (KB|MB)\b", "BYTES"),
    (r"(?<!\d)\d+\.\d+/s", "RATE/s"),
    # Members of JSON and YAML whose names say what they measure.
    (r'(\b(?:\w+_)?(?:ms|us|seconds|seconds_total|bytes|epoch|rate|ago|lag|uptime|instance)"?: )-?[\d.e+-]+', r"\1NUMBER"),
    (r'("?\b(?:age_\w+|\w+_at|at_\w+|since_\w+|p50|p90|p99|max|mean)"?: )-?[\d.e+-]+', r"\1NUMBER"),
    (r'("average connection time",\s+"value": )[\d.e+-]+', r"\1NUMBER"),
    # How often the store has been asked what.
    (r'(\b(?:beat|members|map|report|circuits|tokens|checked|events?|append|loads|advice)"?: )\d+', r"\1NUMBER"),
    # Whether a connect took less than its target.
    (r"(average connection time +DURATION +< 20 ms +)(met|MISSED|too few requests to judge)", r"\1VERDICT"),
    (r'("target": "< 20 ms",\s+"met": )(true|false|null)', r"\1VERDICT"),
    (r"[▁▂▃▄▅▆▇█]+", "SPARKLINE"),
    (r"(?<=\S)  +", "  "),
    (r" +$", ""),
]


def with_placeholders(text):
    for pattern, placeholder in CHANGING:
        text = re.sub(pattern, placeholder, text, flags=re.M)
    return text


def assert_golden(name, text, renew):
    """The text is the file's; renewing writes it there instead."""
    path = FOLDER / f"{name}.txt"
    if renew:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return
    kept = path.read_text() if path.exists() else ""
    if text == kept:
        return
    diff = "\n".join(difflib.unified_diff(kept.splitlines(), text.splitlines(), f"tests/golden/{name}.txt", "now", lineterm=""))
    how = "If that is as it is to be: python3 -m pytest tests/blackbox -k golden --renew-golden, and look at git diff."
    raise AssertionError(f"{diff}\n{how}")
