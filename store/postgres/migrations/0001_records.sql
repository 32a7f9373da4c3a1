-- readable from 1, writable from 1
--
-- Tables are written with the schema sallyport before them, which Migrate replaces by
-- the one it is given.
--
-- Texts are compared byte by byte, whatever the database's collation: COLLATE "C".
--
-- A record is one JSON document, so a new field of it needs no migration. The columns
-- beside the document are for searching; a program refuses a record they contradict.
--
-- The type is json, which keeps the text byte for byte, as the fast reader needs it, and
-- refuses what is no JSON. jsonb would write the text anew.

CREATE TABLE sallyport.organizations (
    id       text COLLATE "C" PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 256),
    revision bigint NOT NULL CHECK (revision > 0),
    document json NOT NULL
);

CREATE TABLE sallyport.keys (
    id           text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9_-]{1,40}$'),
    organization text COLLATE "C" NOT NULL REFERENCES sallyport.organizations,
    revision     bigint NOT NULL CHECK (revision > 0),
    entries      cidr[] NOT NULL, -- the prefixes of the access list, in its order
    document     json NOT NULL
);
CREATE INDEX ON sallyport.keys (organization, id);

-- The usage of keys, as store/adapter encodes it. A key without a row was not used.
CREATE TABLE sallyport.usage (
    key      text COLLATE "C" PRIMARY KEY REFERENCES sallyport.keys ON DELETE CASCADE,
    document json NOT NULL
);

-- Since when usage is observed, and the gaps: one row, at first without any recorder.
CREATE TABLE sallyport.observation (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    document json NOT NULL
);
INSERT INTO sallyport.observation (document) VALUES ('{"since":-62135596800000000,"until":-62135596800000000}');

-- The latest writes, for watchers. For an organization itself the key is NULL. All three
-- columns are NULL if events were forgotten, and no record was written.
CREATE TABLE sallyport.changes (
    revision     bigint PRIMARY KEY CHECK (revision > 0),
    organization text COLLATE "C",
    key          text COLLATE "C",
    deleted      boolean,
    CHECK ((organization IS NULL) = (deleted IS NULL) AND (organization IS NOT NULL OR key IS NULL))
);

-- The events of a write are one row. Organization and key are those of the record. The key is
-- empty for an organization itself, and both are if events were forgotten. No row refers to a
-- record, since events outlive it.
CREATE TABLE sallyport.events (
    revision     bigint PRIMARY KEY CHECK (revision > 0),
    organization text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    count        integer NOT NULL CHECK (count > 0), -- of events
    document     json NOT NULL                       -- an array of them
);
CREATE INDEX ON sallyport.events (organization, revision);
CREATE INDEX ON sallyport.events (key, organization, revision) WHERE key <> '';

-- One row. Every write locks it, so writes become visible in the order of their
-- revisions. Few change it: while a transaction elsewhere stays open, the server keeps every
-- version of the row, and each read passes over them.
--
-- history is the name of the line of writes that revisions are of. place is where it is
-- written: the start of the server's process, the table's file, and the transaction that
-- wrote this row. Elsewhere, as after a failover or in a restored backup, the history has
-- another name, computed from both. The first write there makes it this row's, and revisions
-- go on above base, which lost ones cannot have reached. forgotten is the revision of the
-- latest change no longer kept, and events_forgotten the one up to which events were
-- forgotten.
CREATE TABLE sallyport.state (
    one              boolean PRIMARY KEY DEFAULT true CHECK (one),
    history          text NOT NULL DEFAULT gen_random_uuid()::text CHECK (history <> ''),
    place            text NOT NULL DEFAULT '',
    base             bigint NOT NULL DEFAULT 0 CHECK (base >= 0),
    forgotten        bigint NOT NULL DEFAULT 0 CHECK (forgotten >= 0),
    events_forgotten bigint NOT NULL DEFAULT 0 CHECK (events_forgotten >= 0)
);
INSERT INTO sallyport.state DEFAULT VALUES;

-- Earlier names of the history, and the last revision of each. A watch under such a name, or
-- a reader of events, goes on if its revision is not greater.
CREATE TABLE sallyport.histories (
    history text PRIMARY KEY,
    until   bigint NOT NULL CHECK (until >= 0)
);
