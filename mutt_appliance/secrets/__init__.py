"""Where passwords and API keys come from. They are held in memory only and never rendered."""

from mutt_appliance.secrets.bundle import Secrets
from mutt_appliance.secrets.errors import SecretsError, SecretsUnavailable
from mutt_appliance.secrets.file import load_secrets_file

__all__ = ["Secrets", "SecretsError", "SecretsUnavailable", "load_secrets_file"]
