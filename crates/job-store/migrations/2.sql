-- When the status of a wait last changed. NULL if an earlier version wrote it.
ALTER TABLE cce_waits ADD COLUMN changed_at BIGINT;

-- Whether a finished wait ended as it was asked to. NULL if an earlier version wrote it.
ALTER TABLE cce_waits ADD COLUMN is_success BIGINT;

-- When the job is expected to end, if such jobs were observed.
ALTER TABLE cce_waits ADD COLUMN expected_end BIGINT;

CREATE INDEX cce_waits_changed ON cce_waits (changed_at, key);
CREATE INDEX cce_waits_paused ON cce_waits (project) WHERE outcome IS NULL AND paused = 1;
CREATE INDEX cce_waits_outcome ON cce_waits (outcome, has_job_ended, is_success)
    WHERE outcome IS NOT NULL;
CREATE INDEX cce_outbox_lease ON cce_outbox (lease) WHERE lease IS NOT NULL;
CREATE INDEX cce_outbox_state ON cce_outbox (state, created_at)
    WHERE state <> 'delivered' AND receiver IS NOT NULL;
