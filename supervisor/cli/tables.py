"""The look that all tables share."""

from rich import box
from rich.table import Table


def plain_table(*, expand: bool = False) -> Table:
    """Return an empty table with a line under its head and no frame."""
    return Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", expand=expand
    )
