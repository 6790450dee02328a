"""The life of a link, step by step, without a socket or a clock."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from switch.iso8583.message import Message
from switch.links.management import ManagementComposer, answer_management
from switch.links.sign_on import LinkLife, LinkState, LinkTiming

NOW = datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC)
TIMING = LinkTiming(echo_seconds=5.0, read_seconds=60.0, sign_on_seconds=10.0)


def make_life(*, sign_on: bool = True) -> LinkLife:
    return LinkLife(TIMING, ManagementComposer(now=lambda: NOW, institution_id="900001"), sign_on=sign_on)


def make_up() -> LinkLife:
    life = make_life()
    [request] = life.connected(100.0)
    assert life.answered(answer_management(request))
    return life


def ask(function_code: str) -> Message:
    return Message("1804", {7: "1121010203", 11: "000500", 12: "261121010203", 24: function_code})


def test_a_connection_begins_with_a_sign_on() -> None:
    """Connected is signing on: 1804 with 801 goes out, and nothing else may."""
    life = make_life()
    [request] = life.connected(100.0)
    assert request.mti == "1804"
    assert request.fields == {7: "1121010203", 11: "000001", 12: "261121010203", 24: "801", 33: "900001"}
    assert (life.state, life.up) == (LinkState.SIGNING_ON, False)


def test_an_accepted_sign_on_brings_it_up() -> None:
    """800 from the peer: up."""
    assert make_up().up


def test_a_refused_sign_on_is_down_with_the_peers_code() -> None:
    """Anything but an acceptance: down, and the code is in the reason."""
    life = make_life()
    [request] = life.connected(100.0)
    life.answered(answer_management(request, "909"))
    assert (life.state, life.failure) == (LinkState.DOWN, "the peer refused the sign-on with 909")


def test_an_answer_to_another_request_signs_nobody_on() -> None:
    """Only the trace number of the sign-on counts."""
    life = make_life()
    [request] = life.connected(100.0)
    assert not life.answered(answer_management(Message("1804", request.fields | {11: "999999"})))
    assert life.state is LinkState.SIGNING_ON


def test_a_sign_on_without_an_answer_falls_after_its_time() -> None:
    """The wait for the peer is bounded."""
    life = make_life()
    life.connected(100.0)
    assert life.next_tick() == 110.0
    assert life.tick(109.9) == []
    assert life.state is LinkState.SIGNING_ON
    life.tick(110.0)
    assert (life.state, life.failure) == (LinkState.DOWN, "no answer to the sign-on in 10 s")


def test_idleness_is_met_with_an_echo() -> None:
    """After echo_seconds without a sound an 831 goes out; requests may still be sent; its answer ends it."""
    life = make_up()
    assert life.next_tick() == 105.0
    [echo] = life.tick(105.0)
    assert echo[24] == "831"
    assert (life.state, life.up) == (LinkState.ECHOING, True)
    life.heard(105.1)
    life.answered(answer_management(echo))
    assert life.state is LinkState.UP
    assert life.next_tick() == 110.1


def test_traffic_makes_echoes_needless() -> None:
    """Whatever is heard puts the echo off."""
    life = make_up()
    life.heard(104.0)
    assert life.tick(105.0) == []
    assert life.next_tick() == 109.0


def test_any_sound_after_an_echo_is_life() -> None:
    """A peer that answers payments but no echoes is up."""
    life = make_up()
    life.tick(105.0)
    life.heard(106.0)
    assert life.tick(110.0) == []
    assert life.state is LinkState.UP


def test_silence_ends_it_though_echoes_go_out() -> None:
    """Echoes are repeated; after read_seconds of silence the peer is dead."""
    life = make_up()
    echoes = 0
    now = 100.0
    while life.state is not LinkState.DOWN and now < 1000.0:
        now = life.next_tick()
        echoes += len(life.tick(now))
    assert (now, echoes) == (160.0, 11)
    assert life.failure == "nothing was heard for 60 s"


def test_a_peers_sign_off_is_answered_and_obeyed() -> None:
    """802: accepted, not up any more, echoes go on; 801 brings it back."""
    life = make_up()
    answer = life.asked(ask("802"))
    assert answer is not None
    assert (answer.mti, answer[39], life.state, life.up) == ("1814", "800", LinkState.SIGNED_OFF, False)
    [echo] = life.tick(105.0)
    assert (echo[24], life.state) == ("831", LinkState.SIGNED_OFF)
    life.answered(answer_management(echo))
    assert life.state is LinkState.SIGNED_OFF
    life.asked(ask("801"))
    assert life.up


def test_a_peers_echo_is_answered_in_every_state() -> None:
    """Also while we sign on."""
    life = make_life()
    life.connected(100.0)
    answer = life.asked(ask("831"))
    assert answer is not None
    assert (answer[11], answer[24], answer[39]) == ("000500", "831", "800")
    assert life.state is LinkState.SIGNING_ON


def test_a_key_change_is_not_the_links_to_answer() -> None:
    """What has to do with keys goes to who has them."""
    assert make_up().asked(ask("811")) is None


def test_leaving_signs_off_and_waits_for_the_answer() -> None:
    """802 goes out; the answer, or its time, ends the link."""
    life = make_up()
    [request] = life.sign_off(200.0)
    assert (request[24], life.state, life.up) == ("802", LinkState.SIGNING_OFF, False)
    life.answered(answer_management(request))
    assert (life.state, life.failure) == (LinkState.DOWN, "signed off")
    silent = make_up()
    silent.sign_off(200.0)
    silent.tick(210.0)
    assert silent.state is LinkState.DOWN


def test_a_lost_connection_says_why_and_may_begin_anew() -> None:
    """After a loss the next connection signs on again, with another trace number."""
    life = make_up()
    life.lost("the peer closed it")
    assert (life.state, life.failure) == (LinkState.DOWN, "the peer closed it")
    [request] = life.connected(300.0)
    assert request[11] == "000002"
    assert life.failure == ""


def test_a_terminals_link_is_up_at_once() -> None:
    """Without sign-on there is nothing to wait for, and nothing to say at the end."""
    life = make_life(sign_on=False)
    assert life.connected(100.0) == []
    assert life.up
    assert life.sign_off(101.0) == []
    assert life.state is LinkState.DOWN


class Course:
    """A life, and whether its peer has accepted its sign-on since it last began."""

    def __init__(self) -> None:
        self.life = make_life()
        self.now = 0.0
        self.accepted = False
        self._asked: list[Message] = []

    def take(self, step: float | str) -> None:
        """Let something happen: seconds pass, or an event."""
        if isinstance(step, float):
            self.now += step
            self._asked += self.life.tick(self.now)
        elif step.isdecimal():
            self.life.asked(ask(step))
        else:
            getattr(self, step)()
        if self.life.state is LinkState.DOWN:
            self.accepted = False

    def heard(self) -> None:
        self.life.heard(self.now)

    def answer(self, action_code: str = "800") -> None:
        signing = self.life.state is LinkState.SIGNING_ON
        if self._asked:
            self.life.answered(answer_management(self._asked.pop(), action_code))
            self.accepted |= signing and action_code == "800"

    def refuse(self) -> None:
        self.answer("909")

    def leave(self) -> None:
        self._asked += self.life.sign_off(self.now)

    def lose(self) -> None:
        self.life.lost("lost")

    def connect(self) -> None:
        if self.life.state is LinkState.DOWN:
            self._asked = self.life.connected(self.now)


@given(
    steps=st.lists(
        st.one_of(
            st.floats(min_value=0.0, max_value=30.0),
            st.sampled_from(
                [
                    "heard",
                    "answer",
                    "refuse",
                    "801",
                    "802",
                    "831",
                    "811",
                    "leave",
                    "lose",
                    "connect",
                    "connect",
                    "answer",
                ]
            ),
        ),
        max_size=60,
    )
)
def test_whatever_happens_it_is_never_up_unsigned_and_always_knows_its_next_step(steps: list[float | str]) -> None:
    """No order of events raises, brings up a link that the peer has not accepted, or leaves a state without an end."""
    course = Course()
    for step in steps:
        course.take(step)
        assert course.accepted or not course.life.up
        if course.life.state is not LinkState.DOWN:
            assert course.life.next_tick() <= course.now + max(TIMING.read_seconds, TIMING.sign_on_seconds)
