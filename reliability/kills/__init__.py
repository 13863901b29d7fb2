"""Kills in a loop: a real server under load is killed at random moments, and what its clients have seen is checked.

``python -m reliability.kills --store sqlite|postgresql --times 100 [--seed N] [--write]``

Each round kills something, waits until each client has noticed, looks into the store while nothing changes, and starts
again what was killed, on the same store. What a client has seen must be there, and what was charged must be the sum of
what was accepted, to the voiceprint. An answer that a client has not seen is settled by what the store holds and, where
the request had an ``Idempotency-Key``, by sending it again.
"""

import os

# Nothing is forked here but to run another program; gRPC would warn each time.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
