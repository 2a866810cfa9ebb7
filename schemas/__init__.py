"""What is said: every message as a frozen msgspec Struct with bounded fields.

Requests refuse unknown fields; events and replies ignore them, so they can grow.
"""
