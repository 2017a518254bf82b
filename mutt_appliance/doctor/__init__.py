"""What `mutt-ctl doctor` looks at: one module for each kind of check, decisions apart from reading."""
