"""What a stream of voiceprints over gRPC costs the service; ``python -m benchmarks.rpc`` prints it."""
