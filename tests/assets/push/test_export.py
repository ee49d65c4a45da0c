"""Files for upload: private, whole, and none left over."""

import json
import stat

import polars as pl
import pytest

from assets.push.export import write_lists

ROWS = pl.DataFrame({"address": ["+8613800000000"], "text": ['你好, "x"\n第二行']})


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_both_files_hold_the_same_rows(tmp_path):
    folder = tmp_path / "outbound" / "2026-10-01"
    written = write_lists(folder, {"sms": ROWS})
    assert [path.name for path in written] == ["sms.csv", "sms.jsonl"]
    assert pl.read_csv(written[0], schema_overrides={"address": pl.String}).equals(ROWS)
    assert [json.loads(line) for line in written[1].read_text("utf-8").splitlines()] == (
        ROWS.to_dicts()
    )


def test_only_their_owner_may_read_them(tmp_path):
    folder = tmp_path / "outbound" / "2026-10-01"
    written = write_lists(folder, {"sms": ROWS})
    assert {mode(path) for path in written} == {0o600}
    assert {mode(path) for path in (folder, folder.parent)} == {0o700}


def test_a_file_left_open_to_all_is_replaced_by_a_private_one(tmp_path):
    folder = tmp_path / "outbound" / "2026-10-01"
    folder.mkdir(parents=True)
    (folder / "sms.csv").write_text("old")
    (folder / "sms.csv").chmod(0o644)
    write_lists(folder, {"sms": ROWS})
    assert mode(folder / "sms.csv") == 0o600


def test_what_is_stale_goes(tmp_path):
    folder = tmp_path / "outbound" / "2026-10-01"
    write_lists(folder, {"sms": ROWS, "email": ROWS})
    write_lists(folder, {"email": ROWS})
    assert sorted(path.name for path in folder.iterdir()) == ["email.csv", "email.jsonl"]
    write_lists(folder, {})
    assert list(folder.iterdir()) == []


def test_a_failure_leaves_the_old_file(tmp_path):
    folder = tmp_path / "outbound" / "2026-10-01"
    write_lists(folder, {"sms": ROWS})
    before = (folder / "sms.csv").read_bytes()
    nested = pl.DataFrame({"address": [["no list fits into a CSV"]]})
    with pytest.raises(pl.exceptions.ComputeError):
        write_lists(folder, {"sms": nested})
    assert (folder / "sms.csv").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["sms.csv", "sms.jsonl"]
