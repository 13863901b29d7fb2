"""``python -m voxgender`` is the command ``voxgender``."""

from voxgender.cli import main

main()
