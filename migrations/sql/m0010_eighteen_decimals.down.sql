-- Refuses to round: the books would no longer say what was booked.
DO $$
DECLARE
    largest CONSTANT numeric := 1e16;
BEGIN
    IF EXISTS (SELECT FROM sub_accounts WHERE scale(trim_scale(balance)) > 12 OR balance >= largest)
        OR EXISTS (SELECT FROM holds WHERE scale(trim_scale(amount)) > 12)
        OR EXISTS (SELECT FROM transactions WHERE scale(trim_scale(amount)) > 12 OR amount >= largest
                   OR scale(trim_scale(closing_balance)) > 12 OR closing_balance >= largest
                   OR scale(trim_scale(fee)) > 12 OR scale(trim_scale(price)) > 12 OR abs(price) >= largest)
    THEN
        RAISE EXCEPTION 'money has more than 12 decimal places or 16 integer digits, which the schema before cannot hold'
            USING ERRCODE = 'numeric_value_out_of_range';
    END IF;
END $$;

SELECT set_money_types('numeric(28, 12)', 'numeric(28, 12)');
DROP FUNCTION set_money_types, set_money_types_of, set_money_types_of_partitions, set_money_types_of_chunks;
