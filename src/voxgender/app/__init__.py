"""The service without a protocol: settings, admission, tasks, the store, and what wires them."""
