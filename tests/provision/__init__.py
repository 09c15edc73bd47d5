"""Real servers for the tests: what the machine lacks is installed, what runs is private and stopped again."""
