"""HTTP in: authenticate, read, check, queue. An answer of 2xx means that Redis has the events."""
