"""Foreign seats: programs at the edge that hold a seat of a council without being an agent of ours.

guest          one seat: joins, sends heartbeats, takes its turns through an engine, leaves
command        the engine that runs a command for every request
request_reply  the engine that asks whoever replies on a NATS subject
openai         the engine behind an OpenAI-compatible endpoint
               (an agent of the Synadia Agent Protocol: see actors/synadia/)

They know nothing that a program in another language could not know from the contract, and need
no more rights than `subjects/permissions.py` gives a seat.
"""
