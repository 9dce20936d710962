"""Drawing of graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["graph"]


def graph(graphable: Any, format_: str = "pdf", layout: str = "dot") -> Path:
    """Draws the graph of a SynthDef or a signal with Graphviz and returns the path of the picture,
    in the folder for temporary files. `layout` is the program of Graphviz. Blocks until it exits.

    Raises `RuntimeError` if Graphviz is not installed or fails.
    """
    import shutil
    import subprocess
    import tempfile
    from pathlib import Path

    program = shutil.which(layout)
    if program is None:
        raise RuntimeError(f"cannot draw the graph: `{layout}` is not a program; install Graphviz")
    description = format(graphable.__graph__(), "graphviz")
    path = Path(tempfile.mkdtemp(prefix="consort-sc-")) / f"graph.{format_}"
    result = subprocess.run(
        [program, f"-T{format_}", "-o", str(path)],
        input=description,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"{layout} cannot draw the graph: {result.stderr.strip()}")
    return path
