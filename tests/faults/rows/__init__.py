"""The fault table: every row, in the order of its number."""

from tests.faults.rows import clocks, cluster, engine, links, messages, processes, server, whole
from tests.faults.rows.row import Row

ROWS: tuple[Row, ...] = (
    *processes.ROWS,
    *whole.ROWS,
    *links.ROWS,
    *messages.ROWS,
    *server.ROWS,
    *clocks.ROWS,
    *cluster.ROWS,
    *engine.ROWS,
)
