"""The reliable queue in Redis: take in, claim, settle, retry, give back. See `keys` for the layout."""
