"""The whole system in one thread of virtual time, where everything that can go wrong does."""
