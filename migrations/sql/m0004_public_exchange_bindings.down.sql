-- Paper and backtest tradings that use a public binding stay, without one.
UPDATE tradings SET exchange_binding_id = NULL
WHERE type <> 'real' AND exchange_binding_id IN (SELECT id FROM exchange_bindings WHERE kind = 'public');
DELETE FROM exchange_bindings WHERE id IN (
    '01900000-0000-7000-8000-000000000001',
    '01900000-0000-7000-8000-000000000002',
    '01900000-0000-7000-8000-000000000003'
);
