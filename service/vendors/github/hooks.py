"""The record that GitHub keeps of what a webhook delivered (vendors.md §6.1).

A webhook belongs to a repository, to an organisation or to a GitHub App; the calls are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import Field

from service.errors import Refused
from service.http import path_of
from service.vendors.base import Options
from service.vendors.github.answers import FullDelivery, HookDelivery
from service.vendors.github.asking import PAGE, GitHubAsking, next_page, repo_path
from service.vendors.trail import follow

_READ = "“Webhooks” (read)"
_WRITE = "“Webhooks” (write)"


class HookOptions(Options):
    """Which webhook: that of a repository, of an organisation, or of the GitHub App."""

    repository: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$",
        description="The repository whose webhook it is, as owner/name.",
    )
    organization: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.-]+$",
        description="The organisation whose webhook it is.",
    )
    app: bool = Field(default=False, description="It is the webhook of the GitHub App.")
    hook_id: int | None = Field(
        default=None,
        ge=1,
        description="The number at the end of the address of the webhook's settings page.",
    )
    ignore_senders: tuple[str, ...] = Field(
        default=(), description="Logins whose doings give no events, as at the source."
    )


@dataclass(frozen=True, slots=True)
class HookPlace:
    """Where the deliveries of a webhook are; `as_app`: only the App itself may read them."""

    path: str
    as_app: bool = False


def place_of(options: HookOptions) -> HookPlace:
    """Give where the deliveries of this webhook are. Raises Refused when it is not known which."""
    if options.app:
        return HookPlace("/app/hook/deliveries", as_app=True)
    hint = "give repository (owner/name) or organization, with hook_id; or app: true"
    if options.hook_id is None:
        raise Refused("it is not known which webhook of GitHub's is meant", hint=hint)
    hook = path_of("hooks", options.hook_id, "deliveries")
    if options.repository is not None:
        return HookPlace(f"{repo_path(options.repository)}{hook}")
    if options.organization is not None:
        return HookPlace(f"{path_of('orgs', options.organization)}{hook}")
    raise Refused("it is not known whose webhook at GitHub is meant", hint=hint)


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """A page of deliveries, newest first; `cursor` leads to the next, None when it is the last."""

    rows: Sequence[HookDelivery]
    cursor: str | None


class HookClient(GitHubAsking):
    """The calls about a webhook's deliveries."""

    def deliveries_page(self, place: HookPlace, cursor: str | None = None) -> DeliveryPage:
        """Give one page. Cursors stay good while new deliveries are made."""
        params = {"per_page": PAGE, "cursor": cursor}
        answer = self.ask("GET", place.path, needs=_READ, params=params, as_app=place.as_app)
        rows = [answer.fit(HookDelivery, row) for row in answer.objects()]
        following = (next_page(answer) or {}).get("cursor")
        # The same cursor again would be read for ever.
        return DeliveryPage(rows, None if following == cursor else following)

    def deliveries(self, place: HookPlace) -> Iterator[HookDelivery]:
        """Give every delivery that GitHub still has, newest first."""
        cursor: str | None = None
        followed: tuple[str, ...] | None = ()
        while followed is not None:
            page = self.deliveries_page(place, cursor)
            yield from page.rows
            if page.cursor is None:
                return
            cursor, followed = page.cursor, follow(followed, page.cursor)

    def delivery(self, place: HookPlace, delivery_id: int) -> FullDelivery:
        """Give one delivery with what was sent and what was answered."""
        path = f"{place.path}{path_of(delivery_id)}"
        answer = self.ask("GET", path, needs=_READ, as_app=place.as_app)
        return answer.read(FullDelivery)

    def redeliver(self, place: HookPlace, delivery_id: int) -> None:
        """Let GitHub send a delivery once more, under the same GUID.

        Doing so twice does no harm. Raises Refused after three days.
        """
        path = f"{place.path}{path_of(delivery_id, 'attempts')}"
        self.ask("POST", path, needs=_WRITE, as_app=place.as_app, safe=True)
