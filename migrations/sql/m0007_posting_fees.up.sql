-- What a fee took of a posting, in the asset of its account: part of `amount` where a purchase paid it on top, missing in
-- `amount` where a sale got so much less, the whole of a posting `fee`. Null where a trade paid none, and in what was booked
-- before. NOT VALID spares a look at every old row, which has none.
ALTER TABLE transactions ADD COLUMN fee numeric(28, 12);
ALTER TABLE transactions ADD CONSTRAINT transactions_fee_check CHECK (fee > 0 AND fee <> 'NaN') NOT VALID;
