"""What events say: the properties or traits of every row, each distinct text made once.

Every word is the simulation's own and free of characters that JSON escapes, so that string
expressions can build the JSON.
"""

import numpy as np
import polars as pl

from resources.simulation.behaviour import Action
from resources.simulation.draws import Ints, fill
from resources.simulation.event_log import EventLog, Sharing
from resources.simulation.groups import Groups
from resources.simulation.markets import MARKETS, base_rates, minor_units, money_text
from resources.simulation.sharing import SHARE_CHANNELS, Shares
from resources.simulation.vocabulary import CATEGORIES, KINDS, SEARCH_SUFFIXES
from resources.simulation.world import World

_DIGITS = np.array([market.digits for market in MARKETS])
_CURRENCIES = pl.Series([market.currency for market in MARKETS])
_ABOUT_PRODUCTS = (Action.VIEW, Action.ADD, Action.REMOVE, Action.WISH)
_ABOUT_ORDERS = (Action.CHECKOUT, Action.ORDER, Action.REFUND, Action.CANCEL)


class Bodies:
    """The distinct ends of the rows' JSON objects, and which one each row has.

    Attributes:
        texts: From the properties or traits on, (texts,).
        text: Index of the text of every row, (rows,).
    """

    def __init__(self, world: World, log: EventLog, sharing: Sharing) -> None:
        self._world, self._rows = world, log.rows
        self._made: list[pl.Series] = []
        self._n_made = 0
        self.text = fill(len(log.rows.at))

        self._add_products(log)
        lists = [f'"category":"{category.name}"' for category in CATEGORIES]
        self._add(self._of(Action.LIST), lists, log.rows.product)
        words = [f"{kind.tag}{suffix}" for suffix in SEARCH_SUFFIXES for _, kind in KINDS]
        searches = [f'"query":"{word}"' for word in words]
        self._add(self._of(Action.SEARCH), searches, log.rows.product)
        self._add(self._of(Action.PAGE), ['"name":"Home"'], np.zeros_like(self.text))
        self._add(self._of(Action.CART), [""], np.zeros_like(self.text))
        self._add_shares(sharing.shares, sharing.groups)
        for action in _ABOUT_ORDERS:
            self._add_orders(action, sharing.groups)
        self._add_members(log)
        self.texts = pl.concat(self._made)

    def _of(self, *actions: Action) -> Ints:
        return np.flatnonzero(np.isin(self._rows.action, actions))

    def _add(self, chosen: Ints, inner: pl.Series | list[str], text: Ints,
             field: str = "properties") -> None:  # fmt: skip
        """Give the chosen rows the texts that text, (rows,), names."""
        self.text[chosen] = self._n_made + text[chosen]
        opening, closing = pl.lit(f'"{field}":{{'), pl.lit("}}")
        frame = pl.DataFrame({"inner": pl.Series(inner, dtype=pl.String)})
        self._made.append(frame.select(pl.concat_str(opening, "inner", closing)).to_series())
        self._n_made += len(inner)

    def _add_products(self, log: EventLog) -> None:
        """Product, with the list price of the day in local money and pieces unless just viewed.

        What is viewed needs no price: the catalogue tells it.
        """
        catalogue = self._world.catalogue
        chosen = self._of(*_ABOUT_PRODUCTS)
        is_priced = self._rows.action[chosen] != Action.VIEW
        key = np.stack([
            is_priced.astype(np.int64),
            log.devices.market[log.device[chosen]] * is_priced,
            catalogue.snapshot(self._world.timeline.day(self._rows.at[chosen])) * is_priced,
            np.maximum(self._rows.quantity[chosen], 0),
            self._rows.product[chosen],
        ])  # fmt: skip
        sizes = key.max(axis=1, initial=0) + 1
        keys, which = np.unique(np.ravel_multi_index(tuple(key), sizes), return_inverse=True)
        priced, market, snapshot, quantity, product = np.unravel_index(keys, sizes)
        in_local = minor_units() / base_rates(self._world.settings.base_currency)
        price = np.round(catalogue.prices[snapshot, product] * in_local[market])
        frame = pl.DataFrame({
            "product_id": catalogue.ids[product],
            "price": np.maximum(price.astype(np.int64), 1),
            "digits": _DIGITS[market],
            "currency": _CURRENCIES[market],
            "quantity": quantity,
            "is_priced": priced > 0,
        })  # fmt: skip
        money = money_text(pl.col("price"), pl.col("digits"))
        price_text = pl.format(',"price":{},"currency":"{}"', money, "currency")
        inner = frame.select(pl.concat_str(
            pl.format('"product_id":"{}"', "product_id"),
            pl.when("is_priced").then(price_text).otherwise(pl.lit("")),
            pl.when(pl.col("quantity") > 0).then(pl.format(',"quantity":{}', "quantity"))
            .otherwise(pl.lit("")),
        )).to_series()  # fmt: skip
        text = fill(len(self._rows.at))
        text[chosen] = which
        self._add(chosen, inner, text)

    @staticmethod
    def _in_group(groups: Groups, group: Ints) -> pl.Series:
        """What tells the group, for each index of one; nothing for -1."""
        texts = groups.ids.to_frame("id").select(pl.format(',"group_id":"{}"', "id")).to_series()
        nothing = pl.Series([""], dtype=pl.String)
        return pl.concat([texts, nothing])[np.where(group < 0, len(texts), group)]

    def _add_shares(self, shares: Shares, groups: Groups) -> None:
        frame = pl.DataFrame({
            "group": self._in_group(groups, shares.group),
            "product_id": self._world.catalogue.ids[shares.product],
            "share_code": shares.codes,
            "share_via": pl.Series(SHARE_CHANNELS)[shares.via],
        })  # fmt: skip
        product = pl.format('"product_id":"{}","share_code":"{}"', "product_id", "share_code")
        shared = frame.select(
            pl.format('{},"share_via":"{}"{}', product, "share_via", "group")
        ).to_series()
        clicked = frame.select(pl.format('"name":"Shared Product",{}', product)).to_series()
        self._add(self._of(Action.SHARE), shared, self._rows.subject)
        self._add(self._of(Action.CLICK), clicked, self._rows.subject)

    def _add_orders(self, action: Action, groups: Groups) -> None:
        """Order, with its lines where it is completed or refunded."""
        orders, population = self._world.orders, self._world.population
        chosen = self._of(action)
        order = self._rows.subject[chosen]
        place = fill(len(orders.at))
        place[order] = np.arange(len(order))
        market = population.market[orders.member]
        pieces = orders.refunded_quantity if action == Action.REFUND else orders.quantity
        line = np.flatnonzero((place[orders.line_order] >= 0) & (pieces > 0))
        lines = pl.DataFrame({
            "place": place[orders.line_order[line]],
            "product_id": self._world.catalogue.ids[orders.product[line]],
            "quantity": pieces[line],
            "price": orders.unit_price[line],
            "digits": _DIGITS[market[orders.line_order[line]]],
        })  # fmt: skip
        price = money_text(pl.col("price"), pl.col("digits"))
        product = pl.format(
            '{{"product_id":"{}","quantity":{},"price":{}}}', "product_id", "quantity", price
        )
        products = (
            lines.select("place", product.alias("product"))
            .group_by("place", maintain_order=True)
            .agg(pl.col("product").str.join(","))
            .sort("place")["product"]
        )
        frame = pl.DataFrame({
            "order_id": orders.ids[order],
            "revenue": orders.revenue[order],
            "digits": _DIGITS[market[order]],
            "currency": _CURRENCIES[market[order]],
            "products": products,
            "group": self._in_group(groups, groups.of_order[order]),
        })  # fmt: skip
        revenue = money_text(pl.col("revenue"), pl.col("digits"))
        inner = {
            Action.CHECKOUT: pl.format(
                '"order_id":"{}","value":{},"currency":"{}"', "order_id", revenue, "currency"
            ),
            Action.ORDER: pl.format(
                '"order_id":"{}","revenue":{},"currency":"{}","products":[{}]{}',
                "order_id", revenue, "currency", "products", "group",
            ),
            Action.REFUND: pl.format(
                '"order_id":"{}","currency":"{}","products":[{}]',
                "order_id", "currency", "products",
            ),
            Action.CANCEL: pl.format('"order_id":"{}"', "order_id"),
        }[action]  # fmt: skip
        text = fill(len(self._rows.at))
        text[chosen] = np.arange(len(order))
        self._add(chosen, frame.select(inner).to_series(), text)

    def _add_members(self, log: EventLog) -> None:
        """What an identify call tells of the member: locale and addresses, as far as known."""
        population = self._world.population
        chosen = self._of(Action.IDENTIFY)
        member = pl.DataFrame({"user_id": population.ids[log.member[chosen]]})
        known = member.join(population.records, on="user_id", how="left", maintain_order="left")
        traits = [
            pl.format(f'"{name}":"{{}}"', name) for name in ("locale", "phone", "email", "openid")
        ]
        inner = known.select(pl.concat_str(traits, separator=",", ignore_nulls=True)).to_series()
        text = fill(len(self._rows.at))
        text[chosen] = np.arange(len(chosen))
        self._add(chosen, inner, text, field="traits")
