"""The gRPC door: the closed product's own stubs, answered by the same service as REST."""
