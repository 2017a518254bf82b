"""The web UI process: health, metrics and a plain status answer."""
