DO $$
DECLARE
    statistic text;
BEGIN
    FOR statistic IN
        SELECT format('%I.%I', n.nspname, s.stxname) FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
        WHERE s.stxrelid IN ('transactions'::regclass, 'trading_logs'::regclass)
           OR s.stxrelid IN (SELECT inhrelid FROM pg_inherits
                             WHERE inhparent IN ('transactions'::regclass, 'trading_logs'::regclass))
    LOOP
        EXECUTE format('DROP STATISTICS %s', statistic);
    END LOOP;
END $$;

DROP FUNCTION keep_owner_statistics;
