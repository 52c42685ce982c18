"""What workflows may ask of VibeView."""

from service.vendors.vibeview.actions.credit import CREDIT_ACTIONS
from service.vendors.vibeview.actions.standing import STANDING_ACTIONS
from service.vendors.vibeview.actions.starting import STARTING_ACTIONS
from service.vendors.vibeview.actions.suites import SUITE_ACTIONS
from service.vendors.vibeview.actions.webhooks import WEBHOOK_ACTIONS

__all__ = ["ACTIONS"]

ACTIONS = (
    *CREDIT_ACTIONS,
    *STARTING_ACTIONS,
    *STANDING_ACTIONS,
    *SUITE_ACTIONS,
    *WEBHOOK_ACTIONS,
)
