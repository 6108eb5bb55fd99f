"""Real daemons, each in a home of its own."""
