"""Which lane answers which request."""

from __future__ import annotations

import time
from pathlib import Path

from tui_gpt.core.messages import (
    Begin,
    Calibrate,
    Cancel,
    Explore,
    Export,
    Fork,
    Generate,
    Import,
    ListTokens,
    Load,
    Publish,
)
from tui_gpt.engine.session.carrying import bring_in, write_out
from tui_gpt.engine.session.channel import Channel
from tui_gpt.engine.session.lanes import Handler, Lane
from tui_gpt.engine.session.speaking import Speaker
from tui_gpt.engine.session.work import begin, calibrate, explore, fork, list_tokens, publish

GRACE_SECONDS = 0.5
"""What a request gets at the end to clean up behind itself."""


class Serving:
    """Three lanes: what makes and measures, what speaks, and what carries models in and out."""

    def __init__(self, channel: Channel, log: Path | None, *, warm_up: bool = True) -> None:
        """`warm_up`: whether what speaking needs is imported before anybody asks for it."""
        self._channel = channel
        speaker = Speaker()
        work: dict[type, Handler] = {
            Explore: explore,
            ListTokens: list_tokens,
            Begin: begin,
            Fork: fork,
            Calibrate: calibrate,
            Publish: publish,
        }
        speak: dict[type, Handler] = {Load: speaker.load, Generate: speaker.generate}
        carry: dict[type, Handler] = {Import: bring_in, Export: write_out}
        working = Lane("work", work, channel.send, log=log)
        # Not while a text is being prepared: a run that is to start is waiting for it, and its trainer wants a core.
        idle = speaker.warm_up if warm_up else None
        speaking = Lane("speak", speak, channel.send, log=log, idle=idle, beside=working)
        # A download takes as long as it takes, and nobody who talks or trains waits for it.
        carrying = Lane("carry", carry, channel.send, log=log)
        lanes = {working: work, speaking: speak, carrying: carry}
        self._lane_of = {kind: lane for lane, kinds in lanes.items() for kind in kinds}
        self._lanes = list(lanes)

    def run(self) -> None:
        """Take requests until stdin closes."""
        for request in self._channel.requests():
            if isinstance(request, Cancel):
                for lane in self._lanes:
                    lane.cancel(request.target)
            else:
                self._lane_of[type(request)].put(request)

    def end(self) -> None:
        """Cancel everything, and give it a moment to leave nothing half-made."""
        for lane in self._lanes:
            lane.end()
        deadline = time.monotonic() + GRACE_SECONDS
        for lane in self._lanes:
            lane.join(max(0.0, deadline - time.monotonic()))
