"""`python -m mutt_appliance` is the `mutt` command."""

if __name__ == "__main__":
    # Not imported by the processes that Python spawns from this one: they do not need the command line.
    from mutt_appliance.cli.main import main

    main()
