"""The main process: starts, watches, restarts and stops the processes of the appliance."""
