"""What becomes of a deliberation: a pure fold over its events, and the collector that moves it."""
