"""Flask glue: problem+json, current actor, request shell, paging, ETags, idempotency, rate limits, OpenAPI."""
