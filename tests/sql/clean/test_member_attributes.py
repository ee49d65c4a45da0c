"""What the shop knows of members: the newest value of each attribute."""

import json

from assets.clean.contracts import MEMBER_ATTRIBUTES, MEMBERS


def record(log, user, day, **attributes):
    log.members.append(
        {
            "user_id": log.pseudonym(user),
            "attributes": json.dumps(attributes, ensure_ascii=False),
            "path": f"m{day}",
            "load_date": log.at(f"01-{day:02}").date(),
            "line": len(log.members) + 1,
        }
    )


def found(log):
    rows = log.make(MEMBER_ATTRIBUTES)
    return {(row["member_id"], row["attribute"]): row["value"] for row in rows}


def test_each_attribute_is_the_newest_that_was_said(log):
    ann, bob = log.member_id("ann"), log.member_id("bob")
    record(log, "ann", 5, income="50-74K", household_size=3, city="", tags=["a", "b"])
    record(log, "ann", 7, income="75-99K", age_desc=None, city="Kyoto")
    record(log, "ann", 6, income="35-49K", household_size=None)
    record(log, "bob", 5)
    record(log, "bob", 6, note='5 "stars" \\ 会员')
    assert found(log) == {
        (ann, "income"): "75-99K",
        (ann, "household_size"): "3",
        (ann, "city"): "Kyoto",
        (ann, "tags"): '["a","b"]',
        (bob, "note"): '5 "stars" \\ 会员',
    }
    attributes = {row["member_id"]: json.loads(row["attributes"]) for row in log.make(MEMBERS)}
    assert attributes == {
        ann: {"income": "75-99K", "household_size": "3", "city": "Kyoto", "tags": ["a", "b"]},
        bob: {"note": '5 "stars" \\ 会员'},
    }


def test_a_value_of_any_form_is_json(log):
    record(log, "ann", 5, note="two\nlines\tor so", broken="[1, 2")
    (row,) = log.make(MEMBERS)
    assert json.loads(row["attributes"]) == {"note": "two lines or so", "broken": "[1, 2"}


def test_who_has_no_record_has_no_attributes(log):
    log.event("Product Viewed", "01-05 08:00", device="phone")
    assert [row["attributes"] for row in log.make(MEMBERS)] == ["{}"]
    assert found(log) == {}
