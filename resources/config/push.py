"""shop.yaml's `push`: what holds for every campaign."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from resources.config.loading import Declared

VariableName = Literal[
    "product_title", "product_reason", "tag", "stage", "days_since_last_order", "offer"
]


def _hour(said: object) -> object:
    # YAML reads `on` as true and 20:00 as the number 1200.
    if isinstance(said, bool) or not isinstance(said, int) or not 0 <= said <= 23:
        raise ValueError("expected a whole hour from 0 to 23, such as 20 for 20:00 (midnight is 0)")
    return said


Hour = Annotated[int, BeforeValidator(_hour)]


def is_quiet(hour: int, quiet_from_hour: int, quiet_until_hour: int) -> bool:
    """Whether an hour lies from one hour until another, over midnight if that is earlier."""
    if quiet_from_hour <= quiet_until_hour:
        return quiet_from_hour <= hour < quiet_until_hour
    return hour >= quiet_from_hour or hour < quiet_until_hour


class Push(Declared):
    """Quiet hours, caps, hours to send at, and what no text may say.

    With `send_hours`, a campaign without an hour of its own is sent at the one of them that is
    nearest to the member's best hour. `withheld_variables` may stand in no text.
    """

    salt: str = "siyu"
    quiet_from_hour: Hour = 22
    quiet_until_hour: Hour = 8
    on_capped: Literal["drop", "defer"] = "drop"
    default_hour: Hour = 10
    send_hours: tuple[Hour, ...] = ()
    withheld_variables: tuple[VariableName, ...] = ()
    adult_age: Annotated[int, Field(gt=0)] = 18

    class Cap(Declared):
        """At most `messages` within `days` calendar days of the member's zone."""

        messages: Annotated[int, Field(ge=0)]
        days: Annotated[int, Field(gt=0, le=30)]
        channel: str | None = None

    caps: tuple[Cap, ...] = (Cap(messages=1, days=1), Cap(messages=3, days=7))

    @model_validator(mode="after")
    def _hours_are_not_quiet(self) -> "Push":
        named = {"default_hour": (self.default_hour,), "send_hours": self.send_hours}
        for name, hours in named.items():
            for hour in hours:
                if is_quiet(hour, self.quiet_from_hour, self.quiet_until_hour):
                    raise ValueError(
                        f"'{name}' has {hour}, which is quiet (from {self.quiet_from_hour} until "
                        f"{self.quiet_until_hour}); name another hour, or other quiet hours"
                    )
        return self
