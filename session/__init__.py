"""The one source of truth: events, state, commands, and the tables they live in."""
