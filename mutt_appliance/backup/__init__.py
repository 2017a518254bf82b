"""What people have set up (rules, hosts, teams, keys, settings, history), as one file, and back."""
