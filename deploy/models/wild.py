"""Tasks written by hand, in no template of the generator, with the content words that matter."""

WILD: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Our checkout charges customers twice when the payment gateway times out. How do we stop it?",
        ("checkout", "payment", "gateway", "customers"),
    ),
    (
        "Design a rate limiter for a public REST API used by mobile clients.",
        ("rate", "limiter", "public", "api", "mobile", "clients"),
    ),
    (
        "We need to rename a column in a busy Postgres table without downtime.",
        ("rename", "column", "postgres", "table", "downtime"),
    ),
    (
        "How would you test a date picker that must work in Tokyo and Lisbon?",
        ("date", "picker", "tokyo", "lisbon"),
    ),
    (
        "Write a plan to move our nightly reports from cron to a workflow engine.",
        ("nightly", "reports", "cron", "workflow", "engine"),
    ),
    (
        "The login page takes nine seconds on slow phones. What would you do first?",
        ("login", "page", "phones", "seconds"),
    ),
    (
        "Suggest how a bakery could sell the bread left over in the evening.",
        ("bakery", "bread", "evening", "sell"),
    ),
    (
        "Which database should a small chess club use for its membership list?",
        ("database", "chess", "club", "membership", "list"),
    ),
    (
        "Rotate the TLS certificates of forty edge servers automatically.",
        ("rotate", "tls", "certificates", "edge", "servers"),
    ),
    (
        "Find out why the Kafka consumer lags every Monday morning.",
        ("kafka", "consumer", "lags", "monday"),
    ),
    (
        "Propose a way to deduplicate sensor readings that arrive out of order.",
        ("deduplicate", "sensor", "readings", "order"),
    ),
    (
        "A hospital wants fewer missed appointments. What should it try?",
        ("hospital", "appointments", "missed"),
    ),
    (
        "Make the Terraform pipeline safe to run from two branches at once.",
        ("terraform", "pipeline", "branches"),
    ),
    (
        "Plan a birthday picnic for thirty guests when rain is likely.",
        ("birthday", "picnic", "guests", "rain"),
    ),
    (
        "Should we keep feature flags in the database or in a config file?",
        ("feature", "flags", "database", "config", "file"),
    ),
    (
        "Detect fraud in small online donations without blocking honest donors.",
        ("fraud", "donations", "donors", "honest"),
    ),
    (
        "Implement pagination for a search endpoint that returns millions of rows.",
        ("pagination", "search", "endpoint", "rows"),
    ),
    (
        "Describe how to onboard a new colleague to the incident rota.",
        ("onboard", "colleague", "incident", "rota"),
    ),
    (
        "The image resizer leaks memory after a few thousand thumbnails.",
        ("image", "resizer", "memory", "thumbnails"),
    ),
    (
        "Explain how you would archive old invoices for ten years.",
        ("archive", "invoices", "years", "old"),
    ),
)
