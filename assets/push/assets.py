"""Whom to message today, with what, and why the others not."""

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import dagster as dg
import polars as pl

import assets.clean.contracts as clean
import assets.features.contracts as features
import assets.raw.contracts as raw
import assets.recommend.contracts as recommend
import assets.social.contracts as social
import assets.tags.contracts as tags
import assets.value.contracts as value
from assets.automation import after_upstream
from assets.push import contracts
from assets.push.audience import redirected, spared
from assets.push.export import write_lists
from assets.push.rendering import unfit, with_text
from assets.push.versions import Declaration, first_mistake
from assets.sql_asset import described, report, sql_asset
from resources.config.campaigns import (
    N_BUCKETS,
    Campaign,
    load_campaigns,
)
from resources.config.loading import ConfigError
from resources.config.push import Push
from resources.config.templates import template_variables
from resources.contract import Contract
from resources.failure import Failure
from resources.home import Home
from resources.shop import ShopConfig
from resources.vault import Vault
from resources.warehouse import Session, SqlError, Warehouse, read_sql, tables_read

OUTBOX = dg.AssetKey(["push", "outbox"])


class ForbiddenMessages(Failure):
    """The push list holds what must not be sent; the message says how many and why."""


class AudienceError(Failure):
    """An audience cannot be selected; the message names the campaign and the reason."""


def _published(modules: Iterable[ModuleType]) -> list[Contract]:
    declared = [entry for module in modules for entry in vars(module).values()]
    return [entry for entry in declared if isinstance(entry, Contract) and entry.is_published]


# Any of these may stand in an audience, so all of them must be there before one is selected.
_AUDIENCE_TABLES = [
    raw.PRODUCTS,
    *_published((clean, features, tags, recommend, value, social)),
]


_SPARED = spared({table.name: table.column_names for table in _AUDIENCE_TABLES})


def _declared(shop: ShopConfig) -> tuple[Campaign, ...]:
    return load_campaigns(Path(shop.folder)).campaigns


def _frame(contract: Contract, rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=list(contract.column_names), infer_schema_length=None)


@dg.asset(
    key=contracts.CAMPAIGNS.asset_key,
    deps=[raw.LOADS.asset_key],
    kinds={"yaml", "duckdb"},
    **described(contracts.CAMPAIGNS),
)
def campaigns(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The campaigns of campaigns.yaml, refused where one changed under an old version."""
    declared = _declared(shop)

    def write(session: Session, parameters: Mapping[str, object]) -> int:
        session.create_empty(contracts.CAMPAIGNS)
        before = session.rows(
            "select campaign_id, version, fingerprint, variants from push.campaigns"
        )
        mistake = first_mistake(
            [Declaration(name, version, mark, tuple(arms)) for name, version, mark, arms in before],
            [Declaration(c.id, c.version, c.fingerprint, tuple(c.texts)) for c in declared],
        )
        if mistake:
            raise ConfigError(f"{Path(shop.folder) / 'campaigns.yaml'}: {mistake}")
        run_date = cast("dt.date", parameters["run_date"])
        rows = [campaign_row(campaign, shop.declared.push, run_date) for campaign in declared]
        return session.write_frame(contracts.CAMPAIGNS, _frame(contracts.CAMPAIGNS, rows))

    return report(warehouse, shop, write)


def campaign_row(campaign: Campaign, push: Push, run_date: dt.date) -> dict[str, object]:
    """A campaign's row of push.campaigns."""
    quiet = campaign.quiet_hours_within(push)
    return {
        "campaign_id": campaign.id,
        "version": campaign.version,
        "operation": campaign.operation,
        "goal": campaign.goal,
        "channel": campaign.channel,
        "audience_sql": campaign.audience,
        "template": next(iter(campaign.texts.values()))[campaign.fallback],
        "fallback_locale": campaign.fallback,
        "variables": list(campaign.variables),
        "offer": campaign.offer,
        "priority": campaign.priority,
        "unit_cost": campaign.unit_cost,
        "budget": campaign.budget,
        "holdout_share": campaign.holdout,
        "variants": list(campaign.texts),
        "send_hour": campaign.send_hour,
        "quiet_from_hour": quiet.from_hour,
        "quiet_until_hour": quiet.until_hour,
        "starts_on": campaign.starts_on,
        "ends_on": campaign.ends_on,
        "expires_hours": campaign.expires_hours,
        "is_running": campaign.starts_on <= run_date <= campaign.ends_on,
        "fingerprint": campaign.fingerprint,
    }


@dg.asset(
    key=contracts.ARMS.asset_key,
    deps=[campaigns],
    kinds={"yaml", "duckdb"},
    **described(contracts.ARMS),
)
def arms(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The arms of the declared campaigns."""
    rows = [
        {
            "campaign_id": campaign.id,
            "arm": arm.name,
            "first_bucket": arm.first_bucket,
            "n_buckets": arm.n_buckets,
            "propensity": arm.n_buckets / N_BUCKETS,
        }
        for campaign in _declared(shop)
        for arm in campaign.arms
    ]
    return report(warehouse, shop, _replacing(contracts.ARMS, rows))


@dg.asset(
    key=contracts.TEMPLATES.asset_key,
    deps=[campaigns],
    kinds={"yaml", "duckdb"},
    **described(contracts.TEMPLATES),
)
def templates(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The texts of the declared campaigns."""
    rows = [
        {
            "campaign_id": campaign.id,
            "arm": arm,
            "locale": locale,
            "template": text,
            "variables": list(template_variables(text)),
        }
        for campaign in _declared(shop)
        for arm, texts in campaign.texts.items()
        for locale, text in texts.items()
    ]
    return report(warehouse, shop, _replacing(contracts.TEMPLATES, rows))


@dg.asset(
    key=contracts.CAPS.asset_key,
    deps=[campaigns],
    kinds={"yaml", "duckdb"},
    **described(contracts.CAPS),
)
def caps(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """The caps that bind the declared campaigns."""
    rows = [
        {"campaign_id": campaign.id, "rule": cap.rule, **cap._asdict()}
        for campaign in _declared(shop)
        for cap in campaign.caps_within(shop.declared.push)
    ]
    return report(warehouse, shop, _replacing(contracts.CAPS, rows))


def _replacing(
    contract: Contract, rows: Sequence[Mapping[str, object]]
) -> Callable[[Session, Mapping[str, object]], int]:
    def write(session: Session, _: Mapping[str, object]) -> int:
        return session.write_frame(contract, _frame(contract, rows))

    return write


@dg.asset(
    key=contracts.AUDIENCES.asset_key,
    deps=[campaigns, *(contract.asset_key for contract in _AUDIENCE_TABLES)],
    kinds={"sql", "duckdb"},
    **described(contracts.AUDIENCES),
)
def audiences(shop: ShopConfig, warehouse: Warehouse) -> dg.MaterializeResult[Any]:
    """Whom each running campaign's own SELECT names, read with no way to write or leave."""
    with warehouse.connect(read_only=True) as session:
        # A marketer's SELECT may read tables of the warehouse, never a file of the machine.
        session.execute("set enable_external_access = false")
        selected = select_audiences(session, shop.parameters(session))

    def write(session: Session, _: Mapping[str, object]) -> int:
        return session.write_frame(contracts.AUDIENCES, selected)

    return report(warehouse, shop, write)


def _spared(session: Session, audience_sql: str) -> str:
    """The same SELECT over tables without sensitive products and tags.

    Raises:
        ValueError: it hides which tables it reads.
    """
    views = {
        name: f"spared_{name.replace('.', '_')}"
        for name in _SPARED
        if name in {table.lower() for table in tables_read(audience_sql)}
    }
    tree = json.loads(session.scalar("select json_serialize_sql($sql)", {"sql": audience_sql}))
    statement = redirected(tree, views)
    if not views:
        return audience_sql
    for name, view in views.items():
        session.execute(f"create or replace temp view {view} as {_SPARED[name]}")
    return session.scalar(
        "select json_deserialize_sql($tree::json)", {"tree": json.dumps(statement)}
    )


def select_audiences(session: Session, parameters: Mapping[str, object]) -> pl.DataFrame:
    """The members that the running campaigns' audiences select: campaign_id, member_id.

    Nobody is selected by a sensitive product or tag: to an audience these do not exist.

    Raises:
        AudienceError: a SELECT fails, hides what it reads, or gives no member_id.
    """
    running = session.rows(
        "select campaign_id, audience_sql from push.campaigns where is_running order by campaign_id"
    )
    found = [pl.DataFrame(schema={"campaign_id": pl.String, "member_id": pl.Int64})]
    for campaign_id, audience_sql in running:
        try:
            members = session.frame(
                "select distinct cast(member_id as bigint) as member_id"
                f" from ({_spared(session, audience_sql)}\n) where member_id is not null",
                parameters,
            )
        except (SqlError, ValueError) as error:
            reason = str(error).split("\n", 1)[0]
            raise AudienceError(
                f"campaign {campaign_id}: its audience cannot be selected ({reason}); "
                "correct 'audience' in campaigns.yaml"
            ) from error
        found.append(members.select(pl.lit(campaign_id).alias("campaign_id"), "member_id"))
    return pl.concat(found)


variables = sql_asset(contracts.VARIABLES)
eligibility = sql_asset(contracts.ELIGIBILITY)
assignments = sql_asset(contracts.ASSIGNMENTS, keeps_history_by="assigned_at >= $as_of")
decisions = sql_asset(contracts.DECISIONS, keeps_history_by="run_date = $run_date")
push_list = sql_asset(contracts.PUSH_LIST, keeps_history_by="run_date = $run_date")


@dg.asset(
    key=OUTBOX,
    deps=[
        clean.MEMBER_ADDRESSES.asset_key,
        clean.MEMBERS.asset_key,
        contracts.ASSIGNMENTS.asset_key,
        contracts.CAPS.asset_key,
        contracts.DECISIONS.asset_key,
        contracts.PUSH_LIST.asset_key,
        clean.PRODUCTS.asset_key,
        tags.PRODUCTS.asset_key,
        tags.PRODUCT_TAGS.asset_key,
    ],
    kinds={"csv", "json"},
    group_name="push",
    owners=[contracts.PUSH_LIST.owner],
    description=(
        "One CSV and one JSON-lines file per channel for upload, with addresses from the vault "
        "and filled texts; readable by their owner alone."
    ),
    pool="warehouse",
    automation_condition=after_upstream(),
)
def outbox(
    context: dg.AssetExecutionContext,
    shop: ShopConfig,
    warehouse: Warehouse,
    vault: Vault,
    home: Home,
) -> dg.MaterializeResult[Any]:
    """Writes the push list of the run date below SIYU_HOME/outbound."""
    with warehouse.connect() as session:
        parameters = shop.parameters(session)
        n_listed = session.scalar(
            "select count(*) from push.push_list where run_date = $run_date", parameters
        )
        messages = session.frame(_MESSAGES, parameters)
        forbidden = session.rows(read_sql("questions/forbidden_messages.sql"))
    if forbidden:
        raise ForbiddenMessages(
            f"push.push_list has {len(forbidden)} messages that must not be sent, the first is "
            f"{forbidden[0][0]}; nothing is exported until it is made anew"
        )
    lists = {
        channel: addressed(of_channel, vault.addresses(str(channel), of_channel))
        for (channel,), of_channel in messages.partition_by(
            "channel", as_dict=True, maintain_order=True
        ).items()
    }
    # A last look at what is really handed out; push.decisions has told of such values before.
    if left := [key for rows in lists.values() for key in unfit(rows)["dedupe_key"]]:
        raise ForbiddenMessages(
            f"{len(left)} filled texts hold a brace or an empty value, the first is {left[0]}; "
            "nothing is exported until the push list is made anew"
        )
    folder = home.outbound / str(parameters["run_date"])
    written = write_lists(folder, {name: rows for name, rows in lists.items() if len(rows)})
    n_written = sum(map(len, lists.values()))
    if n_written < n_listed:
        context.log.warning(f"{n_listed - n_written} messages have no address in the vault")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": n_written,
            "without_address": n_listed - n_written,
            "folder": str(folder),
            "files": [path.name for path in written],
            **{f"to_{channel}": len(rows) for channel, rows in lists.items()},
        }
    )


# The address is asked for under the very record that consent, caps and arms were told by.
_MESSAGES = """
select
    dedupe_key, campaign_id, channel, locale, template, variables, send_at, expires_at,
    identifier, source, path, line
from push.push_list
join clean.member_addresses using (member_id, channel)
where run_date = $run_date
order by send_at, dedupe_key
"""


def addressed(messages: pl.DataFrame, addresses: Mapping[str, str]) -> pl.DataFrame:
    """What is handed out of a channel's messages: one row each, text filled, times in UTC.

    Messages to nobody who has an address are left out.
    """
    known = pl.DataFrame(
        {"identifier": list(addresses), "address": list(addresses.values())},
        schema={"identifier": pl.String, "address": pl.String},
    )
    reachable = messages.join(known, on="identifier", maintain_order="left")
    return with_text(reachable).select(
        "dedupe_key",
        "campaign_id",
        "address",
        "locale",
        "text",
        pl.col("send_at", "expires_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
