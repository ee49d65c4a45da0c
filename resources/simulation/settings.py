"""What a simulated shop is made from, and what a simulation reports."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PurchaseModel(_Frozen):
    """BG/NBD (Fader, Hardie, Lee 2005, assumptions i to v): rates are per week of shop time.

    The order rate is Gamma(r, rate alpha) over members, the chance to leave after each repeat
    order Beta(a, b). The first order starts the clock; members who never order have none.
    """

    r: float = Field(default=0.85, gt=0)
    alpha: float = Field(default=6.5, gt=0)
    a: float = Field(default=0.9, gt=0)
    b: float = Field(default=3.6, gt=0)
    buyer_share: float = Field(default=0.8, ge=0, le=1)


class SpendModel(_Frozen):
    """Gamma-Gamma (Fader, Hardie 2013): order value Gamma(p, rate nu), nu Gamma(q, rate gamma).

    The mean order is p * gamma / (q - 1); gamma is in yuan, and is converted to the base currency.
    """

    p: float = Field(default=6.0, gt=0)
    q: float = Field(default=4.0, gt=1)
    gamma: float = Field(default=95.0, gt=0)


class DirtModel(_Frozen):
    """How much of what is wrong with real logs; shares are of messages unless said otherwise.

    Frauds of sharing are as many as given where the shop has the newcomers for them: they take
    two thirds of those whom nobody invited at most.
    """

    duplicate_share: float = Field(default=0.02, ge=0, le=0.5)
    late_share: float = Field(default=0.012, ge=0, le=0.5)
    broken_share: float = Field(default=0.001, ge=0, le=0.5)
    skewed_device_share: float = Field(default=0.02, ge=0, le=1, description="of devices")
    n_visitors_per_member: float = Field(default=0.8, ge=0, le=20, description="never log in")
    n_bots_per_member: float = Field(default=0.001, ge=0, le=1, description="with a bot's agent")
    n_fast_bots: int = Field(default=2, ge=0, le=100, description="with an ordinary user agent")
    cancelled_share: float = Field(default=0.02, ge=0, le=0.3, description="of orders")
    partly_refunded_share: float = Field(default=0.03, ge=0, le=0.3, description="of orders")
    fully_refunded_share: float = Field(default=0.025, ge=0, le=0.3, description="of orders")
    self_click_share: float = Field(
        default=0.02, ge=0, le=1, description="of shares: the sharer opens her own link"
    )
    second_accounts: int = Field(
        default=20, ge=0, description="sign up by her own link, on the sharer's own device"
    )
    referral_rings: int = Field(
        default=10, ge=0, description="members who refer each other in a ring"
    )
    device_farms: int = Field(default=5, ge=0, description="devices on which many sign up")
    accounts_per_farm: int = Field(default=8, ge=3, description="all by one member's link")
    stale_click_share: float = Field(
        default=0.05, ge=0, le=1, description="of uninvited newcomers: a link, over a week before"
    )


class GroupModel(_Frozen):
    """Group orders (拼团): members who order the same product within a day of the first.

    A leader orders and shares; the others come by her link. Groups that nobody joins are cancelled.
    """

    group_share: float = Field(default=0.04, ge=0, le=0.3, description="of orders, if they fit")


class SimulationSettings(_Frozen):
    """A simulated shop. The same settings give the same bytes."""

    seed: int = Field(default=20261001, ge=0)
    first_date: date = date(2026, 7, 3)
    days: int = Field(default=90, ge=1, le=1000)
    history_days: int = Field(default=270, ge=1, le=3000)
    members: int = Field(default=20_000, ge=10, le=1_000_000)
    products: int = Field(default=2_000, ge=40, le=100_000, description="content included")
    content_share: float = Field(default=0.05, ge=0, le=0.5)
    catalogue_every_days: int = Field(default=15, ge=1, description="days between snapshots")
    time_zone: str = "Asia/Shanghai"
    base_currency: Literal["CNY", "JPY", "USD", "SGD", "GBP"] = "CNY"
    monthly_discount_rate: float = Field(default=0.01, ge=0, description="of the true values")
    purchases: PurchaseModel = PurchaseModel()
    spend: SpendModel = SpendModel()
    groups: GroupModel = GroupModel()
    dirt: DirtModel = DirtModel()


class SimulationReport(_Frozen):
    """What a simulation wrote into the landing folder: lines of each kind, files and bytes."""

    first_date: date
    last_date: date
    n_event_lines: int
    n_order_lines: int
    n_product_lines: int
    n_member_lines: int
    n_consent_lines: int
    n_files: int
    n_bytes: int
