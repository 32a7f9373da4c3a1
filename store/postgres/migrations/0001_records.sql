-- Tables are written with the schema sallyport before them, which Migrate replaces by
-- the one that it is given.
--
-- Texts are compared byte by byte, whatever the database's collation: COLLATE "C".
-- A time that is not known, or without end, is NULL, never a value that stands for it.
-- What the checks say is what the program says of a record too, so that a record which
-- it would refuse cannot be written by hand either.

CREATE TABLE sallyport.organizations (
    id          text COLLATE "C" PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 256),
    requirement text COLLATE "C" NOT NULL CHECK (requirement IN ('not_required', 'report_only', 'required')),
    revision    bigint NOT NULL CHECK (revision > 0)
);

-- The columns entries, grants and secrets are how many rows the key has in the tables of
-- these names. A key that has lost one cannot be read: without its entries it would be
-- open to every address.
CREATE TABLE sallyport.keys (
    id           text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9_-]{1,40}$'),
    organization text COLLATE "C" NOT NULL REFERENCES sallyport.organizations,
    description  text COLLATE "C" NOT NULL CHECK (octet_length(description) <= 1024),
    disabled     boolean NOT NULL,
    not_before   timestamptz CHECK (not_before > '0001-01-01 00:00:00+00' AND not_before < '10000-01-01 00:00:00+00'),
    expires      timestamptz CHECK (expires > '0001-01-01 00:00:00+00' AND expires < '10000-01-01 00:00:00+00'),
    created      timestamptz CHECK (created > '0001-01-01 00:00:00+00' AND created < '10000-01-01 00:00:00+00'),
    entries      integer NOT NULL CHECK (entries >= 0),
    grants       integer NOT NULL CHECK (grants >= 0),
    secrets      integer NOT NULL CHECK (secrets BETWEEN 1 AND 2),
    revision     bigint NOT NULL CHECK (revision > 0),
    CHECK (not_before < expires)
);
CREATE INDEX ON sallyport.keys (organization, id);

-- The access lists.
CREATE TABLE sallyport.entries (
    key     text COLLATE "C" NOT NULL REFERENCES sallyport.keys ON DELETE CASCADE,
    address cidr NOT NULL,
    comment text COLLATE "C" NOT NULL CHECK (octet_length(comment) <= 1024),
    added   timestamptz CHECK (added > '0001-01-01 00:00:00+00' AND added < '10000-01-01 00:00:00+00'),
    expires timestamptz CHECK (expires > '0001-01-01 00:00:00+00' AND expires < '10000-01-01 00:00:00+00'),
    PRIMARY KEY (key, address)
);

-- A grant without a project holds in the organization itself, unless it holds in all
-- projects.
CREATE TABLE sallyport.grants (
    key          text COLLATE "C" NOT NULL REFERENCES sallyport.keys ON DELETE CASCADE,
    position     integer NOT NULL CHECK (position >= 0),
    role         text COLLATE "C" NOT NULL CHECK (octet_length(role) BETWEEN 1 AND 256),
    project      text COLLATE "C" CHECK (octet_length(project) BETWEEN 1 AND 256),
    all_projects boolean NOT NULL,
    PRIMARY KEY (key, position),
    CHECK (project IS NULL OR NOT all_projects)
);

-- The hashes of the secrets, the oldest first.
CREATE TABLE sallyport.secrets (
    key        text COLLATE "C" NOT NULL REFERENCES sallyport.keys ON DELETE CASCADE,
    position   integer NOT NULL CHECK (position IN (0, 1)),
    server_key text COLLATE "C" CHECK (server_key ~ '^[A-Za-z0-9_-]{1,32}$'),
    sum        bytea NOT NULL CHECK (octet_length(sum) = 32),
    created    timestamptz CHECK (created > '0001-01-01 00:00:00+00' AND created < '10000-01-01 00:00:00+00'),
    expires    timestamptz CHECK (expires > '0001-01-01 00:00:00+00' AND expires < '10000-01-01 00:00:00+00'),
    PRIMARY KEY (key, position)
);

-- How entries and secrets were used. An entry or a secret that is not here was not used.
CREATE TABLE sallyport.entry_usage (
    key          text COLLATE "C" NOT NULL REFERENCES sallyport.keys ON DELETE CASCADE,
    address      cidr NOT NULL,
    count        bigint NOT NULL CHECK (count >= 0),
    last         timestamptz,
    last_address inet,
    PRIMARY KEY (key, address)
);
CREATE TABLE sallyport.secret_usage (
    key          text COLLATE "C" NOT NULL REFERENCES sallyport.keys ON DELETE CASCADE,
    secret       text COLLATE "C" NOT NULL,
    count        bigint NOT NULL CHECK (count >= 0),
    last         timestamptz,
    last_address inet,
    PRIMARY KEY (key, secret)
);

-- The latest writes, for those who watch. In an organization's own the key is NULL.
CREATE TABLE sallyport.changes (
    revision     bigint PRIMARY KEY CHECK (revision > 0),
    organization text COLLATE "C" NOT NULL,
    key          text COLLATE "C",
    deleted      boolean NOT NULL
);

-- One row, which every write locks: so writes become visible in the order of their
-- revisions. forgotten is the revision of the latest change that is no longer kept, and
-- kept is how many are.
CREATE TABLE sallyport.state (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    revision  bigint NOT NULL CHECK (revision >= 0),
    forgotten bigint NOT NULL CHECK (forgotten BETWEEN 0 AND revision),
    kept      bigint NOT NULL CHECK (kept >= 0)
);
INSERT INTO sallyport.state (revision, forgotten, kept) VALUES (0, 0, 0);
