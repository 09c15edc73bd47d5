"""What an agent may do: rules of the repository, and the house's own."""
