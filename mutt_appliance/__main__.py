"""`python -m mutt_appliance` is the `mutt` command."""

from mutt_appliance.cli.main import main

if __name__ == "__main__":
    main()
