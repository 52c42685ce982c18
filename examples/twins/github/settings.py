"""Settings of the GitHub twin."""

from pydantic import Field

from examples.twins.twin import Settings


class GitHubSettings(Settings):
    """Settings of this twin.

    Args:
        login: whose token `key` is.
        app_id, app_slug, installation_id: of the one app that is installed.
        app_public_key: as PEM; the app's web tokens are checked with it. Empty: there is no app.
        organization: whose hook can be read beside that of the repository.
    """

    key: str = Field(default="ghp_twin", min_length=1)
    secret: str = "github-webhook-secret"
    login: str = "qa-bot"
    app_id: str = "51234"
    app_slug: str = "hookwright-qa"
    installation_id: int = 5001
    app_public_key: str = ""
    organization: str = "acme-co"
