DROP TABLE replay_jobs, bots, dead_letters, processed_events, ingest_lanes, ingest_workers;
