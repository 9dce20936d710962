#!/usr/bin/env python3
"""Searches the tree for the phrases of tests/words.txt and prints FILE:LINE, the rule's reason.

    tests/words.py [FILE…]      all Rust, Python, Markdown and shell files if none is given

Exits with 1 if a phrase was found.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RULES = "tests/words.txt"
SUFFIXES = {".rs", ".py", ".pyi", ".md", ".sh"}
EXCLUDED = {"STYLE.md", RULES}  # they list the phrases
QUOTED = "lint: quoted"

# White space, also across a line break, with the marker that begins a comment line.
GAP = r"(?:[ \t]+|[ \t]*\n[ \t]*(?:///|//!|//|\#|--|;|>)?[ \t]*)"


def rules():
    """For each rule a word that every match contains, the compiled pattern and the reason."""
    for line in (ROOT / RULES).read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        try:
            word, pattern, reason = line.split("\t")
        except ValueError:
            sys.exit(f"{RULES}: expected WORD <tab> PATTERN <tab> REASON: {line}")
        flags = 0 if re.search(r"(?<!\\)[A-Z]", pattern) else re.IGNORECASE
        # A look-behind has a fixed width, so that its space stays a space.
        parts = re.split(r"(\(\?<!.*?\))", pattern)
        parts = [part if part.startswith("(?<!") else part.replace(" ", GAP) for part in parts]
        yield word, re.compile("".join(parts), flags), reason


def is_source(path):
    """Whether the rules apply to a file: by its suffix, or because it is a shell script."""
    if str(path.relative_to(ROOT)) in EXCLUDED or not path.is_file() or path.is_symlink():
        return False
    if path.suffix:
        return path.suffix in SUFFIXES
    with path.open("rb") as file:
        first = file.readline(64)
    return first.startswith(b"#!") and b"sh" in first


def files():
    """The files of the tree; without git, all of them outside target/."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
        return [ROOT / name for name in sorted(names.decode().split("\0")) if name]
    except (OSError, subprocess.CalledProcessError):
        paths = sorted(ROOT.rglob("*"))
        return [path for path in paths if not {"target", ".git"} & set(path.parts)]


def check(path, patterns):
    """Prints the findings in a file and returns their number."""
    text = path.read_text(errors="replace")
    lower = text.lower()
    found = []
    for word, pattern, reason in patterns:
        if word not in lower:
            continue
        for match in pattern.finditer(text):
            # "There" may be at the end of the previous line, beyond the look-behind.
            before = re.sub(GAP, " ", text[max(0, match.start() - 100) : match.start()])
            if match.group().lower().startswith(("is", "are")) and before.endswith("there "):
                continue
            number = text.count("\n", 0, match.start()) + 1
            last = text.count("\n", 0, match.end()) + 1
            lines = text.splitlines()[number - 1 : last]
            if not any(QUOTED in line for line in lines):
                phrase = " ".join(re.sub(GAP, " ", match.group()).split())
                found.append((number, phrase, reason))
    name = path.relative_to(ROOT)
    for number, phrase, reason in sorted(found):
        print(f"{name}:{number}: `{phrase}`: {reason}")
    return len(found)


def main(arguments):
    patterns = list(rules())
    given = [pathlib.Path(argument).resolve() for argument in arguments]
    paths = [path for path in given or files() if is_source(path)]
    count = sum(check(path, patterns) for path in paths)
    print(f"words: {count} found in {len(paths)} files")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
