"""The texts that customers get."""

WELCOME = "Welcome, {name}! Your account is ready."
SHIPPED = "Good news, {name}: order {order} is on its way."


def fill(template: str, **values: str) -> str:
    """The template with its blanks filled in."""
    return template.format(**values)
