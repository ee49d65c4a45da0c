"""Lines of the event files: Segment's envelope around what the events say, whole or broken."""

import numpy as np
import polars as pl

from resources.simulation.behaviour import Action
from resources.simulation.bodies import Bodies
from resources.simulation.devices import AGENTS
from resources.simulation.dirt import BAD_TIMESTAMP, NO_TYPE, NOT_JSON, TRUNCATED, Lines
from resources.simulation.draws import Ints, opaque_ids
from resources.simulation.event_log import EventLog, Sharing
from resources.simulation.population import CHANNELS
from resources.simulation.world import World

_TRACKED = {
    Action.SEARCH: "Products Searched",
    Action.LIST: "Product List Viewed",
    Action.VIEW: "Product Viewed",
    Action.ADD: "Product Added",
    Action.REMOVE: "Product Removed",
    Action.WISH: "Product Added to Wishlist",
    Action.SHARE: "Product Shared",
    Action.CART: "Cart Viewed",
    Action.CHECKOUT: "Checkout Started",
    Action.ORDER: "Order Completed",
    Action.REFUND: "Order Refunded",
    Action.CANCEL: "Order Cancelled",
}
_TYPES = {Action.PAGE: "page", Action.CLICK: "page", Action.IDENTIFY: "identify"}
_GARBAGE = (
    "upstream connect error or disconnect/reset before headers",
    "<html><head><title>502 Bad Gateway</title></head></html>",
    "{messageId: undefined, type: track}",
)


def _head(action: Action) -> str:
    if action in _TYPES:
        return f'"type":"{_TYPES[action]}"'
    return f'"type":"track","event":"{_TRACKED[action]}"'


def _instant(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")


class Messages:
    """Writes the lines of one load date at a time."""

    def __init__(self, world: World, log: EventLog, sharing: Sharing, lines: Lines) -> None:
        self._log, self._lines = log, lines
        self._bodies = Bodies(world, log, sharing)
        self._ids = opaque_ids(world.settings.seed, "messages", len(log.rows.at))
        self._heads = pl.Series([_head(action) for action in Action])
        self._agents = pl.Series(AGENTS)
        # The last entry is nobody's: member -1.
        self._users = pl.concat([
            pl.DataFrame({"id": world.population.ids}).select(pl.format('"{}"', "id")).to_series(),
            pl.Series(["null"]),
        ])  # fmt: skip

    def lines_of(self, day: int) -> pl.DataFrame:
        """The lines of a load date (days from the first), one column `line`."""
        log, chosen = self._log, slice(self._lines.days[day], self._lines.days[day + 1])
        row = self._lines.row[chosen]
        device, member = log.device[row], log.member[row]
        agent = log.devices.system[device] * len(CHANNELS) + log.channel[row]
        frame = pl.DataFrame({
            "flaw": self._lines.flaw[chosen],
            "message_id": self._ids[row],
            "head": self._heads[log.rows.action[row]],
            "anonymous_id": log.devices.ids[device],
            "user": self._users[np.where(member < 0, len(self._users) - 1, member)],
            "happened": self._lines.happened[chosen],
            "sent": self._lines.sent[chosen],
            "received": self._lines.received[chosen],
            "device": log.devices.context[device],
            "agent": self._agents[agent],
            "body": self._bodies.texts[self._bodies.text[row]],
        })  # fmt: skip
        return self._break(row, frame.select("flaw", self._line()))

    @staticmethod
    def _line() -> pl.Expr:
        flaw = pl.col("flaw")
        message_id = pl.format('"messageId":"{}",', "message_id")
        instants = pl.format(
            ',"originalTimestamp":"{}","sentAt":"{}","receivedAt":"{}"',
            _instant("happened"), _instant("sent"), _instant("received"),
        )  # fmt: skip
        unreadable = pl.lit(
            ',"originalTimestamp":"just now","sentAt":"just now","receivedAt":"just now"'
        )
        return pl.concat_str(
            pl.lit("{"),
            message_id,
            pl.when(flaw == NO_TYPE)
            .then(pl.col("head").str.replace('"type"', '"kind"', literal=True))
            .otherwise(pl.col("head")),
            pl.format(',"anonymousId":"{}","userId":{}', "anonymous_id", "user"),
            pl.when(flaw == BAD_TIMESTAMP).then(unreadable).otherwise(instants),
            pl.format(',"context":{{{}{}}},', "device", "agent"),
            pl.col("body"),
        ).alias("line")

    @staticmethod
    def _break(row: Ints, frame: pl.DataFrame) -> pl.DataFrame:
        """Cut lines short and replace lines where that is their flaw; where, the row decides."""
        flaw, line = pl.col("flaw"), pl.col("line")
        cut = pl.Series(row * 7919 % 1000)
        # A proper prefix of an object is never JSON: its last brace is missing.
        end = 1 + (line.str.len_chars() - 2) * cut // 1000
        garbage = pl.Series(_GARBAGE)[row % len(_GARBAGE)]
        return frame.select(
            pl.when(flaw == TRUNCATED).then(line.str.slice(0, end))
            .when(flaw == NOT_JSON).then(garbage)
            .otherwise(line).alias("line")
        )  # fmt: skip
