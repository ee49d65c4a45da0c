"""Everything that Dagster sees, for one shop and one home."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

warnings.filterwarnings("ignore", category=dg.BetaWarning)  # backfill policies

from assets.partitions import load_dates  # noqa: E402
from assets.publish.assets import published  # noqa: E402
from assets.raw.assets import collected  # noqa: E402
from pipelines import absences, checks  # noqa: E402
from pipelines.catalogue import STAGES, contracts  # noqa: E402
from pipelines.jobs import JOBS  # noqa: E402
from pipelines.schedules import schedules  # noqa: E402
from pipelines.sensors import after_upstream_sensor, landing_files  # noqa: E402
from resources.config.attributes import check_attributes  # noqa: E402
from resources.config.campaigns import check_against_shop, load_campaigns  # noqa: E402
from resources.config.funnels import load_funnels  # noqa: E402
from resources.config.shop import load_shop  # noqa: E402
from resources.config.sources import load_sources  # noqa: E402
from resources.home import Home  # noqa: E402
from resources.keys import Keyring  # noqa: E402
from resources.shop import ShopConfig  # noqa: E402
from resources.vault import Vault  # noqa: E402
from resources.warehouse import Warehouse  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_CONFIG = ROOT / "config" / "demo"
DEFAULT_HOME = ROOT / ".siyu"


def places(environment: Mapping[str, str]) -> tuple[Path, Path]:
    """The shop's folder (SIYU_CONFIG) and where its data live (SIYU_HOME)."""
    config = Path(environment.get("SIYU_CONFIG", DEFAULT_CONFIG))
    home = Path(environment.get("SIYU_HOME", DEFAULT_HOME))
    return config.expanduser().absolute(), home.expanduser().absolute()


def build_definitions(
    config: Path, home: Path, loggers: Mapping[str, dg.LoggerDefinition] | None = None
) -> dg.Definitions:
    """The pipeline of the shop in `config`, with its data in `home`.

    Raises:
        ConfigError: the shop's configuration is wrong.
    """
    shop = load_shop(config)
    check_attributes(config, shop, load_sources(config).sources)
    check_against_shop(config, load_campaigns(config), shop)
    load_funnels(config)
    place = Home(path=str(home))
    keyring = Keyring(home=str(home), is_simulated=shop.simulation is not None)
    every = contracts()
    spanning = [
        checks.reject_rate_is_within_limit,
        checks.every_record_is_accounted_for,
        checks.message_ids_tell_messages_apart,
        checks.values_are_understood,
        checks.consents_are_understood,
        checks.currencies_have_rates,
        checks.orders_say_what_their_lines_do,
        checks.order_numbers_tell_orders_apart,
        checks.orders_reconcile_with_source,
        checks.value_is_independent_of_frequency,
        checks.values_were_foreseen,
        checks.stages_follow_one_another,
        checks.risk_agrees_with_stage,
        checks.periods_follow_one_another,
        checks.referrals_form_trees,
        checks.commissions_stay_within_rates,
        checks.messages_may_be_sent,
        checks.lists_are_worth_what_popularity_is,
        checks.lists_are_less_alike_than_popularity,
        absences.sources_keep_up,
    ]
    published_contracts = [contract for contract in every if contract.is_published]
    held = [checks.contract_checks(contract) for contract in every] + spanning
    modules = [module for _, module in STAGES.values()]
    stages = dg.load_assets_from_modules(modules)  # pyright: ignore[reportUnknownMemberType]
    analytics = published(
        published_contracts,
        [spec.key for check in held for spec in check.check_specs if spec.blocking],
    )
    return dg.Definitions(
        assets=[collected(load_dates(shop)), *stages, analytics],
        asset_checks=held,
        jobs=JOBS,
        schedules=schedules(shop),
        sensors=[landing_files, after_upstream_sensor],
        resources={
            "shop": ShopConfig(folder=str(config)),
            "home": place,
            "keyring": keyring,
            "vault": Vault(path=str(place.vault), keyring=keyring),
            "warehouse": Warehouse(path=str(place.warehouse)),
        },
        loggers=loggers,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The pipeline that the environment names, built when Dagster asks for it."""
    return build_definitions(*places(os.environ))
