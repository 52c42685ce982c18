"""Agents, and the streams that tell them what to obey."""

import asyncio
import base64
import hashlib
from dataclasses import dataclass, field

Message = tuple[str, dict[str, object]]


@dataclass(slots=True)
class Agent:
    """One agent with its policy; `streams` are the control streams that are open."""

    id: str
    org_id: str
    name: str
    slug: str
    created_at: str
    description: str | None = None
    public_key: str | None = None
    kill_switch_active: bool = False
    active_policy_mode: str = "enforce"
    version: int = 0
    policy: str = ""
    streams: list[asyncio.Queue[Message]] = field(default_factory=list)

    def show(self) -> dict[str, object]:
        """The agent as the API shows it."""
        return {
            "id": self.id,
            "org_id": self.org_id,
            "name": self.name,
            "slug": self.slug,
            "description": self.description,
            "status": "stopped" if self.kill_switch_active else "active",
            "public_key": self.public_key,
            "kill_switch_active": self.kill_switch_active,
            "active_policy_mode": self.active_policy_mode,
            "created_at": self.created_at,
        }

    @property
    def policy_hash(self) -> str | None:
        """The hash of the policy in force; `None` without one."""
        if not self.policy:
            return None
        return f"sha256:{hashlib.sha256(self.policy.encode()).hexdigest()}"

    def envelope(self) -> dict[str, object] | None:
        """The policy as a DSSE envelope (its signature is made up); `None` without one."""
        if not self.policy:
            return None
        return {
            "payloadType": "application/vnd.checkrd.policy+yaml",
            "payload": base64.b64encode(self.policy.encode()).decode(),
            "signatures": [{"keyid": "twin", "sig": base64.b64encode(b"twin").decode()}],
        }

    def tell(self, event: str, members: dict[str, object]) -> None:
        """Put a message on every stream that is open."""
        for stream in self.streams:
            stream.put_nowait((event, members))


class AgentBook:
    """Agents in the order they were made."""

    def __init__(self) -> None:
        self._agents: dict[str, Agent] = {}

    def add(self, agent: Agent) -> None:
        """Make an agent known."""
        self._agents[agent.id] = agent

    def find(self, agent_id: str) -> Agent | None:
        """The agent with this id."""
        return self._agents.get(agent_id)

    def remove(self, agent_id: str) -> None:
        """Forget an agent."""
        self._agents.pop(agent_id, None)

    def all(self) -> list[Agent]:
        """Every agent, newest first."""
        return list(reversed(self._agents.values()))
