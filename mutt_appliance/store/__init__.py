"""PostgreSQL: rules, what is known about devices, and the audit log."""

from mutt_appliance.store.errors import SchemaError, StoreUnavailable
from mutt_appliance.store.pool import Database

__all__ = ["Database", "SchemaError", "StoreUnavailable"]
