"""What an event is: its fields, its severity, and what can be read out of its message."""
