"""Who keeps the actors alive: configuration, nats-server, supervision, command line, placement."""
