"""Tests that pages name as the proof of what they say."""

import re

from harness import ROOT


def exists(reference):
    """Whether there is that test: a path below tests/, and a name."""
    path, _, name = reference.partition("::")
    file = ROOT / "tests" / path
    if not name or not file.is_file():
        return False
    pattern = rf"^START_TEST\({name}\)" if file.suffix == ".c" else rf"^def {name}\("
    return re.search(pattern, file.read_text(), re.M) is not None
