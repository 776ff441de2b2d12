"""Every observer hears every event, also where another one fails."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from kdsearch.execution.observers import Observer, Observers

EVENTS = [name for name in dir(Observer) if not name.startswith("_")]


class Recording(Observer):
    """Notes every event with its details; fails at one of them."""

    def __init__(self, fails_at: str | None = None) -> None:
        self.heard: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.fails_at = fails_at

    def __getattribute__(self, name: str) -> Any:
        if name not in EVENTS:
            return super().__getattribute__(name)

        def take(*details: Any, **named: Any) -> None:
            self.heard.append((name, details, named))
            if name == self.fails_at:
                raise OSError(f"no {name}")

        return take


def details_of(event: str) -> tuple[object, ...]:
    """As many different details as an event has."""
    return tuple(object() for _ in inspect.signature(getattr(Observer(), event)).parameters)


def test_there_are_events() -> None:
    assert {"study_started", "trial_epoch", "trial_ended", "study_stopped"} <= set(EVENTS)


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_reaches_every_member_as_it_is(event: str) -> None:
    members = [Recording(), Recording(), Observer()]
    observers = Observers(members)
    details = details_of(event)
    names = inspect.signature(getattr(Observer(), event)).parameters
    getattr(observers, event)(*details)
    getattr(observers, event)(**dict(zip(names, details, strict=True)))
    expected = [(event, details, {}), (event, (), dict(zip(names, details, strict=True)))]
    for member in members[:2]:
        assert isinstance(member, Recording)
        assert member.heard == expected


@pytest.mark.parametrize("event", EVENTS)
def test_the_others_are_told_before_an_error_goes_on(event: str) -> None:
    first, last = Recording(event), Recording()
    observers = Observers([first, Observers([Recording(event), last])])
    details = details_of(event)
    with pytest.raises(OSError, match=f"no {event}") as caught:
        getattr(observers, event)(*details)
    assert first.heard == last.heard == [(event, details, {})]
    assert caught.value.__notes__ == [f"another observer failed too: OSError: no {event}"]


def test_no_member_hears_nothing_and_an_interrupt_is_not_held_up() -> None:
    class Interrupted(Observer):
        def budget_spent(self, reason: str) -> None:
            raise KeyboardInterrupt

    Observers([]).budget_spent("time")
    last = Recording()
    with pytest.raises(KeyboardInterrupt):
        Observers([Interrupted(), last]).budget_spent("time")
    assert last.heard == []
