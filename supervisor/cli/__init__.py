"""The `conclave` command line. Each group of commands is a file, imported when it is called.

Exit codes are those of `supervisor/cli/errors.py`. Nothing is imported here, so that a supervised
actor (`supervisor/cli/child.py`) does not pay for the command line's library.
"""

from importlib import import_module


def main() -> None:
    """Run the command line; the console script `conclave`."""
    import_module("supervisor.cli.root").app(prog_name="conclave")
