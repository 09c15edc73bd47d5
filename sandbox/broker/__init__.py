"""The broker: who holds credentials, what may leave a box, and the quarantine its git work passes through."""
