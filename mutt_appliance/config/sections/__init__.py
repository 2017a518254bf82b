"""The settings, a file for each section."""
