"""Where GitHub's things are, and who made them."""

WEB = "https://github.com"
API = "https://api.github.com"
USER_ID = 583231


def show_user(login: str) -> dict[str, object]:
    """A user as it appears inside other objects."""
    kind = "Bot" if login.endswith("[bot]") else "User"
    number = USER_ID + sum(login.encode())
    return {"login": login, "id": number, "node_id": f"U_{number}", "type": kind}
