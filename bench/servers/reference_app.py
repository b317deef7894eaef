"""What the trigger is held against, on the same server.

A Flask view that does nothing, and one that does the least that a trigger with RQ could do: look the key up, insert a
row, enqueue a job for it.
"""

import os
import threading
from hashlib import sha256
from typing import Any, Final
from uuid import uuid4

import psycopg
from flask import Flask, Response, jsonify, request
from psycopg.types.json import Jsonb
from redis import Redis
from rq import Queue

TABLES: Final = """
    CREATE TABLE IF NOT EXISTS bench_key (key_hash bytea PRIMARY KEY, tenant_id uuid NOT NULL);
    CREATE TABLE IF NOT EXISTS bench_call (tenant_id uuid, call_id uuid, email text, context jsonb,
      at timestamptz DEFAULT now(), PRIMARY KEY (tenant_id, call_id));
"""
_INSERT: Final = """
    INSERT INTO bench_call (tenant_id, call_id, email, context)
    SELECT tenant_id, %s, %s, %s FROM bench_key WHERE key_hash = %s RETURNING tenant_id
"""


def noop() -> Flask:
    """Return the application whose one view does nothing."""
    app = Flask("noop")

    @app.post("/call")
    def call() -> Response:
        return jsonify(status="accepted")

    return app


def enqueue() -> Flask:
    """Return the application that inserts and enqueues."""
    app = Flask("enqueue")
    kept = threading.local()
    queue = Queue("bench-reference", connection=Redis.from_url(os.environ["REDIS_URL"]))

    def connection() -> psycopg.Connection[Any]:
        if not hasattr(kept, "connection"):
            kept.connection = psycopg.connect(os.environ["BENCH_DATABASE_URL"], autocommit=True)
        found: psycopg.Connection[Any] = kept.connection
        return found

    @app.post("/call")
    def call() -> tuple[Response, int]:
        key = sha256(request.headers.get("Authorization", "").encode()).digest()
        recipient = request.get_json()["recipients"][0]
        call_id = uuid4()
        row = connection().execute(_INSERT, (call_id, recipient["email"], Jsonb(recipient["context"]), key)).fetchone()
        if row is None:
            return jsonify(status="unknown key"), 401
        queue.enqueue("bench.servers.reference_app.noop", str(call_id), result_ttl=0, ttl=60)
        return jsonify(status="accepted"), 202

    return app
