"""The commands `mutt` and `mutt-ctl`."""
