-- The fee of a posting, in the asset of its account: included in `amount` of a purchase, already deducted from `amount` of
-- a sale, the whole amount of a posting with reason `fee`. Null for trades without a fee and for rows booked before this
-- migration, which NOT VALID leaves unchecked.
ALTER TABLE transactions ADD COLUMN fee numeric(28, 12);
ALTER TABLE transactions ADD CONSTRAINT transactions_fee_check CHECK (fee > 0 AND fee <> 'NaN') NOT VALID;
