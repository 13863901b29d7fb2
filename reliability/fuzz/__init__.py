"""Made-up input at every reader, guided by the code that it reaches (Atheris, libFuzzer).

Each module of a reader holds a :class:`~reliability.fuzz.target.Target`: what it begins with, and what must hold for
any bytes. ``python -m reliability.fuzz`` runs them, each in a process of its own. They begin with the cases of the
tests, and hold the readers to what the tests promise.
"""
