"""The contract: what any program needs to know to talk to Conclave, derived from the Structs.

endpoints      every subject that is answered: request, reply, errors
channels       every other subject: events, and what is stored
meanings       what each field means
codes          what each code means: of error replies, and of seats that fail
examples       one whole deliberation in messages with fixed values; the golden captures
json_schema    JSON Schema of every message
asyncapi       the AsyncAPI 3.0 document
markdown       the same as a page for people, with `guide.md` before it
compatibility  what may change in a minor version, and what breaks

A new endpoint is an entry in `endpoints`, an example of each of its messages, and a meaning for
each new field name; then `just contract`. The tests say what is missing.
"""
