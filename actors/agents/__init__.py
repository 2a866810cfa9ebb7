"""The agent: seats with a voice, many at a time, through one engine."""
