"""Everything behind the queue: the box, the agent, the forge, the broker."""
