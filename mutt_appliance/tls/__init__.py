"""TLS of our own doors and of the connections we begin: contexts, certificates as facts, their expiry."""
