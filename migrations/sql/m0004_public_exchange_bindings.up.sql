-- The bindings that every user may use for paper and backtest tradings; they hold no credentials.
INSERT INTO exchange_bindings (id, user_id, name, exchange_type, kind, status) VALUES
    ('01900000-0000-7000-8000-000000000001', NULL, 'Binance', 'binance', 'public', 'valid'),
    ('01900000-0000-7000-8000-000000000002', NULL, 'Kraken', 'kraken', 'public', 'valid'),
    ('01900000-0000-7000-8000-000000000003', NULL, 'Gate.io virtual', 'virtual', 'public', 'valid');
