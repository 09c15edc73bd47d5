"""Skills: instructions the agent reads when it needs them, in the open SKILL.md format."""
