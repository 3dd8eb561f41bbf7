"""Which lane answers which request."""

from __future__ import annotations

import time
from pathlib import Path

from tui_gpt.core.messages import Begin, Calibrate, Cancel, Explore, Fork, Generate, Load, Publish
from tui_gpt.engine.session.channel import Channel
from tui_gpt.engine.session.lanes import Handler, Lane
from tui_gpt.engine.session.speaking import Speaker
from tui_gpt.engine.session.work import begin, calibrate, explore, fork, publish

GRACE_SECONDS = 0.5
"""What a request gets at the end to clean up behind itself."""


class Serving:
    """Two lanes: what makes and measures, and what speaks."""

    def __init__(self, channel: Channel, log: Path | None, *, warm_up: bool = True) -> None:
        """`warm_up`: whether what speaking needs is imported before anybody asks for it."""
        self._channel = channel
        speaker = Speaker()
        work: dict[type, Handler] = {
            Explore: explore,
            Begin: begin,
            Fork: fork,
            Calibrate: calibrate,
            Publish: publish,
        }
        speak: dict[type, Handler] = {Load: speaker.load, Generate: speaker.generate}
        working = Lane("work", work, channel.send, log=log)
        # Not while a text is being prepared: a run that is to start is waiting for it, and its trainer wants a core.
        idle = speaker.warm_up if warm_up else None
        speaking = Lane("speak", speak, channel.send, log=log, idle=idle, beside=working)
        self._lane_of = {**dict.fromkeys(work, working), **dict.fromkeys(speak, speaking)}
        self._lanes = [working, speaking]

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
