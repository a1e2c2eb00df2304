"""What is remembered, and what is not."""

from enricher.enrichments import referer_parser
from enricher.enrichments.contract import Draft, Resources
from enricher.remembered import LONGEST, remembered
from shared.event import INDEX, WIDTH
from shared.payload import CollectorPayload
from tests.growth import grows_with_size
from tests.vectors import ROOT


def test_long_texts_are_worked_out_each_time() -> None:
    asked: list[str] = []

    @remembered(2)
    def length(text: str) -> int:
        asked.append(text)
        return len(text)

    assert [length(text) for text in ("a", "a", "b", "a" * (LONGEST + 1), "a" * (LONGEST + 1), "a")] == [
        1, 1, 1, LONGEST + 1, LONGEST + 1, 1,
    ]  # fmt: skip
    assert [len(text) for text in asked] == [1, 1, LONGEST + 1, LONGEST + 1]


def test_what_is_no_text_has_a_length_of_its_own() -> None:
    asked: list[tuple[str, ...]] = []

    @remembered(10, length=lambda texts: sum(map(len, texts)))
    def joined(texts: tuple[str, ...]) -> str:
        asked.append(texts)
        return "".join(texts)

    short, long = ("a", "b"), ("a" * LONGEST, "b")
    assert [joined(texts) for texts in (short, short, long, long)] == [*["ab"] * 2, *["a" * LONGEST + "b"] * 2]
    assert asked == [short, long, long]


def test_texts_that_come_again_stay_and_others_go() -> None:
    asked: list[str] = []

    @remembered(20)
    def noted(text: str) -> None:
        asked.append(text)

    for number in range(1_000):
        noted("often")
        noted(str(number))
    assert asked.count("often") == 1
    assert asked[-3:] == ["997", "998", "999"]
    for number in range(995, 1_000):
        noted(str(number))
    assert len(asked) == 1_001
    noted("0")
    assert asked[-1] == "0"


def test_a_host_of_very_many_labels_is_nobodys() -> None:
    state = referer_parser.prepare(referer_parser.Config.model_validate({}), Resources(ROOT, ROOT))

    def medium(labels: int) -> str:
        values = [""] * WIDTH
        values[INDEX["refr_urlscheme"]], values[INDEX["refr_urlhost"]] = "http", "a." * labels + "google.com"
        patch = referer_parser.enrich(Draft(values, {}, CollectorPayload()), state)
        assert patch is not None
        return patch.fields["refr_medium"]

    assert medium(1) == "search"
    assert medium(250_000) == "unknown"
    assert grows_with_size(medium, lambda size: size, 30_000)
