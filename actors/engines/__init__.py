"""What writes the texts: the seam between council and model, and the engines behind it."""
