"""``voxgender serve`` as a process of its own, and what the kernel tells of it (Linux)."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.serving.client import HOST
from benchmarks.serving.servers import ReadyProcess, free_ports


class Serve(ReadyProcess):
    """A service that answers gRPC.

    Args:
        folder: Where its store and its log go; made where it is missing.
        core: The core that it runs on; None leaves that open.
        flags: Further settings.

    Attributes:
        pid: Its process, which has no children: nobody works on media.
        port: For REST.
        address: For gRPC.
    """

    def __init__(self, folder: Path, core: int | None, **flags: object) -> None:
        folder.mkdir(exist_ok=True)
        # The service tells the ports that it takes in its log of infos, which would cost time.
        port, rpc_port = free_ports(2)
        self.address = f"{HOST}:{rpc_port}"
        settings = {
            "port": port,
            "grpc_port": rpc_port,
            "store_url": f"sqlite:///{folder / 'tasks.db'}",
            "log_level": "warning",
            "extractors": 0,
            **flags,
        }
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        super().__init__("serve", ["-m", "voxgender", "serve", *arguments], port, folder, core)

    def cpu_s(self) -> float:
        """Return the processor seconds of all its threads so far, in hundredths (proc_pid_stat(5), utime and stime)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
