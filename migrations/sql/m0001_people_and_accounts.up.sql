-- Users with their logins, exchange bindings, tradings, sub-accounts and holds.

CREATE TABLE users (
    id                uuid PRIMARY KEY,
    username          text NOT NULL CHECK (length(username) BETWEEN 1 AND 128),
    full_name         text NOT NULL DEFAULT '',
    email             text,
    email_verified_at timestamptz,
    avatar            text,
    role              text NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'admin')),
    status            text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled', 'deleted')),
    settings          jsonb NOT NULL DEFAULT '{}',
    info              jsonb NOT NULL DEFAULT '{}',
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_email_unique ON users (lower(email)) WHERE status <> 'deleted';
CREATE UNIQUE INDEX users_username_unique ON users (username) WHERE status <> 'deleted';
CREATE INDEX users_info ON users USING gin (info jsonb_path_ops);

CREATE TABLE oauth_identities (
    id                      uuid PRIMARY KEY,
    user_id                 uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider                text NOT NULL CHECK (provider IN ('google', 'wechat')),
    subject                 text NOT NULL,
    openid                  text,
    unionid                 text,
    access_token_encrypted  bytea,
    refresh_token_encrypted bytea,
    key_id                  text,
    info                    jsonb NOT NULL DEFAULT '{}',
    created_at              timestamptz NOT NULL DEFAULT now(),
    updated_at              timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT oauth_identities_subject_unique UNIQUE (provider, subject)
);
CREATE INDEX oauth_identities_user ON oauth_identities (user_id);
CREATE INDEX oauth_identities_unionid ON oauth_identities (unionid) WHERE unionid IS NOT NULL;
CREATE INDEX oauth_identities_openid ON oauth_identities (openid) WHERE openid IS NOT NULL;
CREATE INDEX oauth_identities_info ON oauth_identities USING gin (info jsonb_path_ops);

CREATE TABLE oauth_states (
    state           text PRIMARY KEY,
    provider        text NOT NULL CHECK (provider IN ('google', 'wechat')),
    pkce_verifier   text,
    nonce           text,
    redirect_uri    text NOT NULL,
    login_challenge text,
    expires_at      timestamptz NOT NULL,
    info            jsonb NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX oauth_states_expires ON oauth_states (expires_at);

CREATE TABLE sessions (
    id                 uuid PRIMARY KEY,
    user_id            uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    refresh_token_hash bytea,
    user_agent         text,
    expires_at         timestamptz NOT NULL,
    revoked_at         timestamptz,
    info               jsonb NOT NULL DEFAULT '{}',
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sessions_refresh_token_unique UNIQUE (refresh_token_hash)
);
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE exchange_bindings (
    id                   uuid PRIMARY KEY,
    user_id              uuid REFERENCES users (id) ON DELETE CASCADE,
    name                 text NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    exchange_type        text NOT NULL CHECK (exchange_type IN ('binance', 'kraken', 'gate', 'coinbase', 'okx', 'virtual')),
    kind                 text NOT NULL CHECK (kind IN ('private', 'public')),
    api_key_encrypted    bytea,
    api_secret_encrypted bytea,
    passphrase_encrypted bytea,
    masked_api_key       text,
    key_id               text,
    fingerprint          bytea,
    status               text NOT NULL DEFAULT 'unverified' CHECK (status IN ('unverified', 'valid', 'refused', 'deleted')),
    last_verified_at     timestamptz,
    info                 jsonb NOT NULL DEFAULT '{}',
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT exchange_bindings_public_has_no_user CHECK ((kind = 'public') = (user_id IS NULL))
);
CREATE UNIQUE INDEX exchange_bindings_name_unique ON exchange_bindings (user_id, name) NULLS NOT DISTINCT WHERE status <> 'deleted';
CREATE INDEX exchange_bindings_user ON exchange_bindings (user_id);
CREATE UNIQUE INDEX exchange_bindings_fingerprint_unique ON exchange_bindings (user_id, fingerprint) WHERE status <> 'deleted';
CREATE INDEX exchange_bindings_info ON exchange_bindings USING gin (info jsonb_path_ops);

CREATE TABLE tradings (
    id                  uuid PRIMARY KEY,
    user_id             uuid NOT NULL REFERENCES users (id),
    exchange_binding_id uuid REFERENCES exchange_bindings (id),
    name                text NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    type                text NOT NULL CHECK (type IN ('real', 'paper', 'backtest')),
    status              text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'deleting', 'deleted')),
    info                jsonb NOT NULL DEFAULT '{}',
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tradings_real_has_binding CHECK (type <> 'real' OR exchange_binding_id IS NOT NULL)
);
CREATE UNIQUE INDEX tradings_name_unique ON tradings (user_id, name) WHERE status IN ('active', 'paused');
CREATE INDEX tradings_user ON tradings (user_id, created_at DESC);
CREATE INDEX tradings_binding ON tradings (exchange_binding_id);
CREATE INDEX tradings_info ON tradings USING gin (info jsonb_path_ops);

-- Only the ledger writes balance, locked and sequence. The fill factor leaves room for updates in place.
-- All amounts exclude NaN, because PostgreSQL sorts it above every number.
CREATE TABLE sub_accounts (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users (id),
    trading_id uuid NOT NULL REFERENCES tradings (id),
    name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    symbol     text NOT NULL CHECK (symbol ~ '^[!-~]{1,20}$'),
    balance    numeric(28, 12) NOT NULL DEFAULT 0,
    locked     numeric(28, 12) NOT NULL DEFAULT 0,
    sequence   bigint NOT NULL DEFAULT 0 CHECK (sequence >= 0),
    deleted_at timestamptz,
    info       jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT sub_accounts_balance_not_negative CHECK (balance >= 0 AND balance <> 'NaN'),
    CONSTRAINT sub_accounts_locked_within_balance CHECK (locked >= 0 AND locked <= balance)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX sub_accounts_name_unique ON sub_accounts (trading_id, name) WHERE deleted_at IS NULL;
CREATE INDEX sub_accounts_trading ON sub_accounts (trading_id);
CREATE INDEX sub_accounts_user ON sub_accounts (user_id);
CREATE INDEX sub_accounts_info ON sub_accounts USING gin (info jsonb_path_ops);

-- order_id '' is the hold of locks that named no order.
CREATE TABLE holds (
    sub_account_id uuid NOT NULL REFERENCES sub_accounts (id) ON DELETE CASCADE,
    order_id       text NOT NULL DEFAULT '' CHECK (length(order_id) <= 128),
    amount         numeric(28, 12) NOT NULL CHECK (amount > 0 AND amount <> 'NaN'),
    event_id       text,
    info           jsonb NOT NULL DEFAULT '{}',
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sub_account_id, order_id)
);

CREATE TABLE idempotency_keys (
    user_id     uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    method      text NOT NULL,
    path        text NOT NULL,
    key         text NOT NULL CHECK (length(key) BETWEEN 1 AND 128),
    body_hmac   bytea NOT NULL,
    status      integer NOT NULL CHECK (status BETWEEN 200 AND 299),
    body        text,
    expires_at  timestamptz NOT NULL,
    info        jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, method, path, key)
);
CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires_at);
