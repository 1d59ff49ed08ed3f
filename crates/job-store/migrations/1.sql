-- All times are microseconds since 1970 by the clock of the database.
CREATE TABLE cce_waits (
    key           TEXT PRIMARY KEY,          -- PROJECT:JOB
    project       TEXT NOT NULL,
    number        BIGINT NOT NULL,           -- differs between two waits of the same key
    tick          BIGINT NOT NULL,           -- changes with each attempt and each cancellation
    wait          TEXT,                      -- the state without the last reading; NULL at the end
    snapshot      TEXT,                      -- the last reading
    extension     TEXT,                      -- a policy that was requested during an attempt
    receivers     TEXT NOT NULL,
    due           BIGINT,                    -- when the next attempt is due; NULL at the end
    earliest      BIGINT,                    -- when it may be made if a request would stay unused
    lease         BIGINT,                    -- until when a worker makes an attempt
    hinted        BIGINT NOT NULL DEFAULT 0,
    listed_end    TEXT,                      -- the last row of a list that showed the end of the job
    paused        BIGINT NOT NULL DEFAULT 0,
    outcome       TEXT,                      -- NULL until the wait has finished
    has_job_ended BIGINT NOT NULL DEFAULT 0,
    result        TEXT,
    created_at    BIGINT NOT NULL,
    finished_at   BIGINT
);
CREATE INDEX cce_waits_due ON cce_waits (due) WHERE outcome IS NULL AND paused = 0;
CREATE INDEX cce_waits_lease ON cce_waits (lease) WHERE lease IS NOT NULL;
CREATE INDEX cce_waits_project ON cce_waits (project, key);
CREATE INDEX cce_waits_finished ON cce_waits (finished_at) WHERE finished_at IS NOT NULL;

-- One row for each notification: to a webhook (receiver), or for a consumer of the database (queue).
CREATE TABLE cce_outbox (
    id           TEXT PRIMARY KEY,
    key          TEXT NOT NULL,              -- PROJECT:JOB
    number       BIGINT NOT NULL,            -- the number of the wait
    outcome      TEXT NOT NULL,
    receiver     TEXT,
    queue        TEXT,
    body         TEXT NOT NULL,
    delivery     TEXT NOT NULL,
    state        TEXT NOT NULL,              -- pending, delivered or failed
    tries        BIGINT NOT NULL DEFAULT 0,
    last_error   TEXT,
    next_try     BIGINT,                     -- NULL if no try follows, and for a queue
    lease        BIGINT,                     -- until when a worker makes a try
    ended_at     BIGINT,                     -- when it was delivered or given up
    created_at   BIGINT NOT NULL
);
CREATE INDEX cce_outbox_next_try ON cce_outbox (next_try) WHERE next_try IS NOT NULL;
CREATE INDEX cce_outbox_queue ON cce_outbox (queue, created_at) WHERE queue IS NOT NULL;
CREATE INDEX cce_outbox_key ON cce_outbox (key);

-- The request budget, in one row.
CREATE TABLE cce_budget (
    id    BIGINT PRIMARY KEY,
    state TEXT NOT NULL
);
INSERT INTO cce_budget (id, state) VALUES (1, '');

CREATE TABLE cce_paused_projects (
    project TEXT PRIMARY KEY
);

-- When the list of the jobs of a project is read.
CREATE TABLE cce_lists (
    project     TEXT PRIMARY KEY,
    due         BIGINT NOT NULL,
    lease       BIGINT,
    suspensions BIGINT NOT NULL DEFAULT 0    -- in a row, because the list could not be read
);

-- What the adaptive schedule has learned.
CREATE TABLE cce_history (
    endpoint TEXT PRIMARY KEY,
    history  TEXT NOT NULL
);
