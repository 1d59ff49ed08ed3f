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

-- What lists of jobs show, and how far they can be trusted. The columns `listed_end` and `suspensions`
-- of migration 1 are for workers that do not know these.
-- The last row of a list, and what followed from it.
ALTER TABLE cce_waits ADD COLUMN listed TEXT;
-- The last reading of the job, as far as lists concern it.
ALTER TABLE cce_waits ADD COLUMN reading TEXT;
-- 1 if the list replaces readings of the job, while it is trusted.
ALTER TABLE cce_waits ADD COLUMN covered BIGINT NOT NULL DEFAULT 0;
CREATE INDEX cce_waits_active ON cce_waits (project) WHERE outcome IS NULL AND paused = 0;

-- 0 while the list is not read, because it would show too few jobs.
ALTER TABLE cce_lists ADD COLUMN active BIGINT NOT NULL DEFAULT 1;
-- What is known of the list, in JSON.
ALTER TABLE cce_lists ADD COLUMN state TEXT;
-- The probability that the list does not show the next change, in millionths. NULL while the list
-- replaces no readings.
ALTER TABLE cce_lists ADD COLUMN missed BIGINT;
