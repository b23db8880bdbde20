DROP TABLE idempotency_keys, holds, sub_accounts, tradings, exchange_bindings, sessions, oauth_states, oauth_identities, users;
