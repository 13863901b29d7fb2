"""Doors, processes, signals: what makes of a service and its protocols a program."""
