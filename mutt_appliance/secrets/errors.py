"""What goes wrong with secrets. The texts name the source and the way out, never a value."""

from __future__ import annotations


class SecretsError(Exception):
    """The source of secrets cannot be used as it is configured."""


class SecretsUnavailable(SecretsError):  # noqa: N818 - as StoreUnavailable: the state of something else
    """The source of secrets does not answer now; it may do so later."""
