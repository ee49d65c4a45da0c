"""Who answers for an asset."""

DATA = "team:data"
GROWTH = "team:growth"
