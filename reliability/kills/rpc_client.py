"""A client of gRPC, whatever becomes of the server."""

from __future__ import annotations

import contextlib
import random
import socket
import time

import grpc

from reliability.kills.account import Account, Request
from reliability.kills.doors import AGAIN_S, GIVEN_UP, TIMEOUT_S, WORKER_LOST, Doors
from reliability.kills.samples import Sample, lists, media
from reliability.kills.snapshot import demand
from rpc.stubs import OPTIONS, Stubs, identify_messages, of_voiceprints


class RpcClient:
    """Sends lists or recordings over gRPC, of which nothing is kept but what they are charged.

    Args:
        account: Its own.
        doors: Where to.
        chance: Decides what comes next.
        sends_media: Whether it sends recordings.
    """

    def __init__(self, account: Account, doors: Doors, chance: random.Random, *, sends_media: bool) -> None:
        self.account = account
        self._chance = chance
        self._samples = media()[1:2] if sends_media else lists()[:3]
        self._address = ("127.0.0.1", doors.rpc)
        self._channel: grpc.Channel | None = None

    def step(self) -> bool:
        """Do one thing; return whether the store must be looked into before the next one."""
        if self._channel is None and not self._is_reached():
            time.sleep(AGAIN_S)
            return False
        sample = self._chance.choice(self._samples)
        self.account.open = Request(sample, keeps_task=False)
        try:
            told = self._results(sample)
        except grpc.RpcError as error:
            trailing = {str(name): str(value) for name, value in error.trailing_metadata() or ()}
            if trailing.get("x-error-code") == WORKER_LOST:
                self.account.open = None
                self.account.count(GIVEN_UP)
                return False
            lost = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            demand(error.code() in lost, f"a stream is answered by {error.code()}: {error.details()}")
            self.account.lose()
            self.close()
            return True
        demand(told == sample.llrs, f"a stream is answered by {told}, not by {sample.llrs}")
        self.account.hear()
        return False

    def close(self) -> None:
        """Close its connection."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _is_reached(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(self._address, TIMEOUT_S):
            options = (*OPTIONS, ("grpc.use_local_subchannel_pool", 1))
            self._channel = grpc.insecure_channel("{}:{}".format(*self._address), options=options)
            return True
        return False

    def _results(self, sample: Sample) -> tuple[float, ...]:
        messages = identify_messages(sample.body) if sample.is_media else [of_voiceprints(sample.items)]
        metadata = (("x-api-key", self.account.secret),)
        answers = Stubs(self._channel).gender.Identify(iter(messages), metadata=metadata, timeout=TIMEOUT_S)
        return tuple(round(one.score_male.score_llr, 4) for answer in answers for one in answer.results)
