"""What a request that waits for its turn in the session hears meanwhile."""

from __future__ import annotations

from pathlib import Path

from session_talk import Talk
from training_runs import tiny, write_text

from tui_gpt.core.messages import Begin, Begun, Explore, Explored, Progress


def test_a_run_that_is_begun_while_its_text_is_explored_hears_how_far_that_is(tmp_path: Path) -> None:
    text = write_text(tmp_path / "text" / "stories.txt", 2.0)
    config = tiny(text)
    talk = Talk(tmp_path / "home", tmp_path)
    talk.send(Explore(id=1, data=config.data), Begin(id=2, config=config))
    replies = talk.until(Begun)
    explored = next(i for i, reply in enumerate(replies) if isinstance(reply, Explored))
    heard = [r for r in replies[:explored] if isinstance(r, Progress) and r.id == 2]
    told = [r for r in replies[:explored] if isinstance(r, Progress) and r.id == 1]
    assert [(r.what, r.share) for r in heard][-2:] == [(r.what, r.share) for r in told][-2:]
    assert talk.end() == 0
    talk.process.stdout.close()
