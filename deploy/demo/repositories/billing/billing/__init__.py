"""Invoices, exact to the cent."""
