"""Who says it: dispatcher, agent, collector, query responder and council registry.

Decisions are pure (`deliberation`, `protocols`, `outcome`, `quality`); actors only move
messages in and out of them over a `bus.Bus`.
"""

__version__ = "0.1.0"
