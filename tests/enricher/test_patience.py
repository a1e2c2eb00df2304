"""Waiting is told of, but not by every message that waits."""

from enricher.patience import Seldom


def test_the_same_is_told_again_after_a_while() -> None:
    now = [0.0]
    seldom = Seldom(30, lambda: now[0])
    assert [seldom.is_due("iglu"), seldom.is_due("iglu"), seldom.is_due("enriched")] == [True, False, True]
    now[0] = 29.9
    assert not seldom.is_due("iglu")
    now[0] = 30.0
    assert [seldom.is_due("iglu"), seldom.is_due("iglu")] == [True, False]
