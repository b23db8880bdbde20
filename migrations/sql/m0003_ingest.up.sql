-- Event ingestion: workers, owner and cursor of each lane, processed events, dead letters.

CREATE TABLE ingest_workers (
    id          uuid PRIMARY KEY,
    owner_token uuid NOT NULL UNIQUE,
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    alive_until timestamptz NOT NULL,
    version     text NOT NULL,
    host        text NOT NULL,
    info        jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);

-- cursor: every message of this lane up to this stream sequence is processed. fingerprint: that of the message at the
-- cursor.
-- stream_created_at is in nanoseconds, because a timestamptz would lose three digits and never compare equal.
CREATE TABLE ingest_lanes (
    stream            text NOT NULL,
    lane              integer NOT NULL CHECK (lane >= 0),
    epoch             bigint NOT NULL DEFAULT 0,
    owner             uuid,
    lease_until       timestamptz,
    cursor            bigint NOT NULL DEFAULT 0 CHECK (cursor >= 0),
    fingerprint       bytea,
    stream_created_at bigint NOT NULL,
    lag_messages      bigint,
    lag_seconds       numeric(20, 3),
    last_commit_at    timestamptz,
    info              jsonb NOT NULL DEFAULT '{}',
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, lane)
) WITH (fillfactor = 50);

CREATE TABLE processed_events (
    user_id      uuid NOT NULL,
    event_id     text COLLATE "C" NOT NULL CHECK (length(event_id) BETWEEN 1 AND 128),
    content_hash bytea NOT NULL CHECK (length(content_hash) = 16),
    stream       text NOT NULL,
    stream_seq   bigint NOT NULL,
    outcome      text NOT NULL CHECK (outcome IN ('applied', 'dead', 'discarded')),
    info         jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, event_id)
);

CREATE TABLE dead_letters (
    id                uuid PRIMARY KEY,
    stream            text NOT NULL,
    lane              integer NOT NULL,
    stream_created_at bigint NOT NULL,
    stream_seq        bigint NOT NULL,
    subject           text NOT NULL,
    payload           bytea NOT NULL,
    payload_hash      bytea NOT NULL GENERATED ALWAYS AS (sha256(payload)) STORED,
    headers           jsonb NOT NULL DEFAULT '{}',
    broker_time       timestamptz,
    event_id          text,
    user_id           uuid,
    trading_id        uuid,
    class             text NOT NULL CHECK (class IN ('malformed', 'unresolved', 'rejected')),
    code              text NOT NULL,
    reason            text NOT NULL,
    attempts          integer NOT NULL DEFAULT 0,
    next_attempt_at   timestamptz,
    status            text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'replayed', 'discarded')),
    published_at      timestamptz,
    info              jsonb NOT NULL DEFAULT '{}',
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT dead_letters_once UNIQUE (stream, stream_created_at, stream_seq, payload_hash)
);
CREATE INDEX dead_letters_due ON dead_letters (stream, lane, next_attempt_at) WHERE status = 'open';
CREATE INDEX dead_letters_user ON dead_letters (user_id, created_at DESC);
CREATE INDEX dead_letters_unpublished ON dead_letters (created_at) WHERE published_at IS NULL;
CREATE INDEX dead_letters_info ON dead_letters USING gin (info jsonb_path_ops);

-- The latest heartbeat of each component of a bot. The ids may refer to missing rows.
CREATE TABLE bots (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL,
    trading_id   uuid NOT NULL,
    component    text NOT NULL CHECK (length(component) BETWEEN 1 AND 128),
    status       text NOT NULL CHECK (status IN ('healthy', 'degraded', 'unhealthy')),
    last_seen_at timestamptz NOT NULL,
    metrics      jsonb NOT NULL DEFAULT '{}',
    info         jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT bots_component_unique UNIQUE (user_id, trading_id, component)
);
CREATE INDEX bots_info ON bots USING gin (info jsonb_path_ops);

CREATE TABLE replay_jobs (
    id           uuid PRIMARY KEY,
    requested_by uuid REFERENCES users (id),
    start_time   timestamptz NOT NULL,
    end_time     timestamptz NOT NULL,
    user_id      uuid,
    event_types  text[],
    status       text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'done', 'failed')),
    progress     jsonb NOT NULL DEFAULT '{}',
    applied      bigint NOT NULL DEFAULT 0,
    duplicate    bigint NOT NULL DEFAULT 0,
    rejected     bigint NOT NULL DEFAULT 0,
    info         jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX replay_jobs_requested_by ON replay_jobs (requested_by);
CREATE INDEX replay_jobs_open ON replay_jobs (created_at) WHERE status IN ('queued', 'running');
