"""Long trials of what the service promises: kills, faults, fuzzing, load for a long time.

Each module is a command of its own, ``python -m reliability.NAME``, that prints what it found and, with ``--write``,
puts it into ``docs/reliability.md``; ``make chaos``, ``make fuzz`` and ``make soak`` run all. Short forms are in
``tests/reliability``.
"""
