from threading import Event, get_ident

import pytest

from fgbench.util.background import Background


def fails():
    raise KeyError("first")


def test_calls_are_executed_one_after_the_other_in_another_thread():
    events, may_end = [], Event()

    def call(number):
        events.append(("begin", number, get_ident() != main))
        may_end.wait(60)
        events.append(("end", number, get_ident() != main))

    main = get_ident()
    with Background() as background:
        assert not background.is_busy
        background.start(call, 1)
        assert background.is_busy
        may_end.set()
        background.start(call, 2)
        background.wait()
        assert not background.is_busy
        background.start(call, 3)
    assert events == [(word, number, True) for number in (1, 2, 3) for word in ("begin", "end")]


def start_and(action):
    """Start a call that fails, then do something."""
    with Background() as background:
        background.start(fails)
        action(background)


@pytest.mark.parametrize(
    "action",
    [lambda background: None, lambda background: background.start(int), lambda background: background.wait()],
    ids=["end of the block", "start", "wait"],
)
def test_an_error_of_a_call_is_raised_once(action):
    with pytest.raises(KeyError, match="first"):
        start_and(action)


def test_an_error_in_the_block_counts_more_than_one_of_the_call():
    def action(background):
        raise ValueError("second")

    with pytest.raises(ValueError, match="second"):
        start_and(action)
