"""Values that people give: the least, a Secret of their own, one pod of each, and everything."""

from __future__ import annotations

from typing import Any

SECRETS = {
    "databaseUrl": "postgresql://hookwright:pass@database:5432/hookwright",
    "redisUrl": "redis://queue:6379/0",
    "secretKeys": "0123456789abcdef0123456789abcdef",
}

MINIMAL: dict[str, Any] = {"secrets": SECRETS}

EXISTING_SECRET: dict[str, Any] = {
    "existingSecret": "hookwright-secrets",
    "extraSecretNames": ["vendor-secrets"],
    "serviceAccount": {"create": False},
    "settings": {"publicUrl": "https://hooks.example.com", "effects": "shadow"},
}

EVERYTHING: dict[str, Any] = {
    "fullnameOverride": "hooks",
    "image": {
        "repository": "registry.example.com/qa/hookwright",
        "tag": "0.1.0-7",
        "pullPolicy": "Always",
        "pullSecrets": ["registry"],
    },
    "secrets": SECRETS
    | {"adminToken": "hw_first", "extra": {"VIBEVIEW_WEBHOOK_SECRET": 'quo"te\\and: colon'}},
    "config": {
        "sources": [
            {
                "name": "vibeview",
                "vendor": "vibeview",
                "secrets": [{"env": "VIBEVIEW_WEBHOOK_SECRET"}],
                "limits": {"max_body": "2MiB", "per_second": 500, "burst": 1000},
            }
        ],
        "workflows": ["workflows/*.yaml"],
    },
    "workflows": {
        "alert-low-credits.yaml": "name: alert-low-credits\n# {{ not for Helm }}\n",
        "comment.md.jinja": "  indented first line\n\n{{ event.subject }}\n",
    },
    "receiver": {
        "autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 12},
        "podAnnotations": {"example.com/team": "qa"},
        "podLabels": {"team": "qa"},
        "extraEnv": [{"name": "TZ", "value": "Europe/Berlin"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 1,
                        "podAffinityTerm": {
                            "topologyKey": "kubernetes.io/hostname",
                            "labelSelector": {"matchLabels": {"team": "qa"}},
                        },
                    }
                ]
            }
        },
        "priorityClassName": "important",
    },
    "worker": {"autoscaling": {"enabled": True}, "threads": 16},
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "annotations": {"example.com/issuer": "internal"},
        "hosts": [{"host": "hooks.example.com", "paths": ["/hooks", "/health"]}],
        "tls": [{"secretName": "hooks-tls", "hosts": ["hooks.example.com"]}],
    },
    "networkPolicy": {
        "enabled": True,
        "from": [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
        ],
    },
}

ONE_OF_EACH: dict[str, Any] = {
    "secrets": SECRETS,
    "receiver": {"replicas": 1},
    "worker": {"replicas": 1},
    "topologySpread": {"enabled": False},
}

VALUE_SETS = {
    "minimal": MINIMAL,
    "existing-secret": EXISTING_SECRET,
    "everything": EVERYTHING,
    "one-of-each": ONE_OF_EACH,
}
