-- The roles belong to the whole server and stay; here they lose their grants.
DO $$
DECLARE
    granted  regclass;
    services text := (SELECT string_agg(quote_ident(rolname), ', ') FROM pg_roles
                      WHERE rolname IN ('tiris_api', 'tiris_ingest', 'tiris_read'));
BEGIN
    IF services IS NOT NULL THEN
        FOR granted IN
            SELECT oid FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v') AND NOT relispartition
              AND pg_has_role(relowner, 'USAGE')
        LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %s', granted, services);
        END LOOP;
    END IF;
END $$;

DROP FUNCTION record_audit, delete_trading_log, purge_trading, upkeep_partitions, upkeep_statistics, upkeep_compression,
    upkeep_retention;
