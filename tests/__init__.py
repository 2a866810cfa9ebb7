"""Proof, in the order a reader asks for it: unit, bus, actors, then whole systems."""
