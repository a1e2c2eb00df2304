"""Loading files: blocks, places, and what happens when it is stopped and started again."""

import gzip
import io
from pathlib import Path

import pytest

from loader.backfill import Backfill, Place, Reject, State, blocks, sources
from loader.settings import BatchSettings
from loader.warehouse.contract import Unavailable
from tests.loader.bench import Bench, ids, refuse_app
from tests.loader.lines import event_id, line


class PowerCut(Exception):
    """The run ends at once."""


LIMITS = BatchSettings(rows=10, bytes=10**9)


class Files(Bench):
    """A backfill on a warehouse in memory."""

    def __init__(self, folder: Path, check: bool = False, under_way: int = 2) -> None:
        super().__init__()
        self.state_file = folder / "state" / "load.json"
        self.rejects: list[Reject] = []
        self.positions: list[int] = []
        self._check, self._under_way = check, under_way

    async def load(self, file: Path) -> Place:
        """One run of the command; the warehouse stays, all else is new."""
        backfill = Backfill(self.store, LIMITS, self._under_way, self._check, self.stopping, self.rejects.append)
        return await backfill.load_file(file, State(self.state_file), self.positions.append)


def write(file: Path, *lines: bytes) -> Path:
    content = b"\n".join(lines) + b"\n"
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return file


@pytest.mark.parametrize("name", ["events.tsv", "events.tsv.gz"])
async def test_every_line_is_loaded(tmp_path: Path, name: str) -> None:
    files = Files(tmp_path)
    file = write(tmp_path / name, *(line(number) for number in range(35)))
    place = await files.load(file)
    assert files.loaded() == ids(*range(35))
    assert (place.rows, place.rejected, place.lines, place.done) == (35, 0, 35, True)
    assert files.positions == sorted(files.positions)
    assert files.positions[-1] == file.stat().st_size


async def test_what_is_loaded_is_not_read_again(tmp_path: Path) -> None:
    files = Files(tmp_path)
    file = write(tmp_path / "events.tsv", *(line(number) for number in range(15)))
    await files.load(file)
    inserts = len(files.warehouse.inserts)
    place = await files.load(file)
    assert place.rows == 15
    assert len(files.warehouse.inserts) == inserts


async def test_what_was_appended_is_loaded(tmp_path: Path) -> None:
    files = Files(tmp_path)
    file = write(tmp_path / "events.tsv", *(line(number) for number in range(15)))
    await files.load(file)
    with file.open("ab") as out:
        out.write(line(15) + b"\n")
    place = await files.load(file)
    assert files.loaded() == ids(*range(16))
    assert place.lines == 16


async def test_a_file_that_was_replaced_by_a_shorter_one_is_loaded_from_its_start(tmp_path: Path) -> None:
    files = Files(tmp_path)
    await files.load(write(tmp_path / "events.tsv", *(line(number) for number in range(15))))
    await files.load(write(tmp_path / "events.tsv", *(line(number) for number in range(20, 23))))
    assert files.loaded() == ids(*range(15), 20, 21, 22)


@pytest.mark.parametrize("name", ["events.tsv", "events.tsv.gz"])
@pytest.mark.parametrize("break_after", range(1, 5))
async def test_a_run_that_broke_off_is_gone_on_with(tmp_path: Path, name: str, break_after: int) -> None:
    """The break comes after an insert that nobody could note: it is neither lost nor doubled."""
    files = Files(tmp_path)
    file = write(tmp_path / name, *(line(number) for number in range(45)))

    def break_off(_rows: object) -> None:
        if len(files.warehouse.inserts) > break_after:
            raise PowerCut

    files.warehouse.refuse = break_off
    with pytest.raises(PowerCut):
        await files.load(file)
    files.warehouse.refuse = lambda _rows: None
    files.warehouse.tokens.clear()  # the window of tokens may have passed meanwhile
    await files.load(file)
    assert sorted(files.loaded()) == ids(*range(45))


async def test_a_stop_is_noted(tmp_path: Path) -> None:
    files = Files(tmp_path, under_way=1)
    file = write(tmp_path / "events.tsv", *(line(number) for number in range(45)))
    files.warehouse.refuse = lambda _rows: files.stopping.set()
    place = await files.load(file)
    assert not place.done
    assert 0 < place.lines < 45
    files.stopping.clear()
    files.warehouse.refuse = lambda _rows: None
    assert (await files.load(file)).done
    assert sorted(files.loaded()) == ids(*range(45))


async def test_lines_that_are_no_events_are_rejected_with_their_number(tmp_path: Path) -> None:
    files = Files(tmp_path)
    lines = [line(1), b"", b"broken", line(2), line(3, txn_id="x"), *(line(number) for number in range(4, 20)), b"last"]
    place = await files.load(write(tmp_path / "events.tsv", *lines))
    assert [(reject.line, reject.bad_row["data"]["failure"]["type"]) for reject in files.rejects] == [
        (3, "NotTSV"),
        (5, "RowDecodingError"),
        (22, "NotTSV"),
    ]
    assert (place.rows, place.rejected) == (18, 3)


async def test_events_that_the_warehouse_refuses_are_rejected_with_their_number(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.warehouse.refuse = refuse_app("guilty")
    lines = [line(number, app_id="guilty" if number == 13 else "shop") for number in range(20)]
    place = await files.load(write(tmp_path / "events.tsv", *lines))
    (reject,) = files.rejects
    assert (reject.line, reject.bad_row["data"]["payload"]["event_id"]) == (14, event_id(13))
    assert (place.rows, place.rejected) == (19, 1)


async def test_windows_line_ends_are_no_part_of_the_last_column(tmp_path: Path) -> None:
    files = Files(tmp_path)
    (tmp_path / "events.tsv").write_bytes(line(1) + b"\r\n" + line(2) + b"\r\n")
    assert (await files.load(tmp_path / "events.tsv")).rejected == 0
    assert files.loaded() == ids(1, 2)


async def test_check_asks_before_every_block(tmp_path: Path) -> None:
    files = Files(tmp_path, check=True)
    lines = [line(number) for number in range(25)]
    await files.load(write(tmp_path / "events.tsv", *lines))
    await files.load(write(tmp_path / "the same.tsv", *lines))
    assert files.loaded() == ids(*range(25))


async def test_an_outage_is_waited_out(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.warehouse.outages.extend(Unavailable("down") for _ in range(5))
    assert (await files.load(write(tmp_path / "events.tsv", line(1)))).rows == 1


def test_blocks_do_not_depend_on_where_reading_began() -> None:
    """Else the tokens of a second run would not be those of the first."""
    content = b"".join(line(number) + b"\n" for number in range(33))
    whole = list(blocks(io.BytesIO(content), False, Place(), LIMITS))
    later = list(blocks(io.BytesIO(content), False, Place(offset=whole[0].end, lines=10), LIMITS))
    assert later == whole[1:]


def test_blocks_are_bounded_by_bytes() -> None:
    content = b"".join(line(number) + b"\n" for number in range(9))
    found = list(blocks(io.BytesIO(content), False, Place(), BatchSettings(rows=1_000, bytes=len(line(0)) * 3)))
    assert [len(block.lines) for block in found] == [3, 3, 3]


def test_folders_are_searched_through(tmp_path: Path) -> None:
    for name in ("b/2.tsv", "a.tsv", "b/1.tsv.gz", ".hidden", ".git/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [str(file.relative_to(tmp_path)) for file in sources([tmp_path, tmp_path / ".hidden"])]
    assert found == ["a.tsv", "b/1.tsv.gz", "b/2.tsv", ".hidden"]
    with pytest.raises(FileNotFoundError):
        sources([tmp_path / "absent"])
