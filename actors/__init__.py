"""Who says it. Decisions are pure; actors only move messages in and out of them.

actor, service    what every actor is, and endpoints with service discovery
bus               the one way to NATS: what may be relied on, and how it is kept
intake            dispatcher: requests and submissions become deliberations, seats are asked
agents, engines   the agent gives seats a voice; an engine writes what they say
deliberations     the fold over a deliberation's events, and the collector that moves it
protocols         how a council deliberates, a file each
queries           responder: reading what is stored
councils          registry: councils, their seats, and who may hold one
guests, synadia   programs from outside in a seat; the Synadia Agent Protocol's callers
dead_letters      what could not be processed, and its way back
"""

__version__ = "0.1.0"
