/**
 * How the tables became what they are. `MIGRATIONS[i]` brings a database of version i to version
 * i + 1; an empty one has version 0. What stands here was released: it is never changed, only
 * followed by another. Before one is added, test/controller/store/databases/make.ts keeps a
 * database of the version before.
 */
export const MIGRATIONS: readonly string[] = [
  // 1: release 0.1.0.
  `
  CREATE TABLE mesh (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    mesh_id BLOB NOT NULL
  ) STRICT;
  -- One row: the epoch in force.
  CREATE TABLE epoch (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    version INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    secret BLOB,
    decisions TEXT NOT NULL,
    removed TEXT NOT NULL
  ) STRICT;
  CREATE TABLE nodes (
    node_id TEXT PRIMARY KEY,
    record TEXT NOT NULL,
    wireguard BLOB NOT NULL,
    signing BLOB NOT NULL,
    sealing BLOB NOT NULL,
    tunnel_address TEXT NOT NULL UNIQUE,
    endpoint TEXT,
    enrolled_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  -- All keys of all nodes in one column: a key has one use in the mesh. Those of nodes that were
  -- removed stay while their names and addresses are reserved.
  CREATE TABLE node_keys (
    public_key BLOB PRIMARY KEY,
    node_id TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE reserved (
    node_id TEXT PRIMARY KEY,
    tunnel_address TEXT NOT NULL,
    until INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    secret BLOB,
    node_id TEXT,
    expires_at INTEGER NOT NULL,
    used_by TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE sequences (
    node_id TEXT NOT NULL,
    suite TEXT NOT NULL,
    signer TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    observed_at INTEGER NOT NULL,
    PRIMARY KEY (node_id, suite, signer)
  ) STRICT, WITHOUT ROWID;
  -- The newest of each signer.
  CREATE TABLE scores (
    node_id TEXT NOT NULL,
    suite TEXT NOT NULL,
    signer TEXT NOT NULL,
    score REAL NOT NULL,
    samples INTEGER NOT NULL,
    observed_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    evidence TEXT NOT NULL,
    PRIMARY KEY (node_id, suite, signer)
  ) STRICT, WITHOUT ROWID;
  `,
  // 2: what was, with its evidence. Both tables only grow at one end and are pruned at the other, so
  // that an epoch of 10,000 verdicts touches few pages; a node's verdicts are looked up epoch by epoch.
  `
  CREATE TABLE score_history (
    id INTEGER PRIMARY KEY,
    node_id TEXT NOT NULL,
    suite TEXT NOT NULL,
    signer TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    score REAL NOT NULL,
    samples INTEGER NOT NULL,
    observed_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    evidence TEXT NOT NULL
  ) STRICT;
  CREATE INDEX score_history_by_time ON score_history (received_at);
  CREATE TABLE epoch_history (
    epoch INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    started_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE verdict_history (
    epoch INTEGER NOT NULL,
    node_id TEXT NOT NULL,
    allowed INTEGER NOT NULL,
    reason TEXT NOT NULL,
    explanation TEXT NOT NULL,
    since_epoch INTEGER,
    inputs TEXT,
    PRIMARY KEY (epoch, node_id)
  ) STRICT, WITHOUT ROWID;
  -- What a database of version 1 still knows of the past.
  INSERT INTO score_history
    SELECT NULL, node_id, suite, signer, sequence, score, samples, scores.observed_at, received_at, evidence
    FROM scores JOIN sequences USING (node_id, suite, signer) ORDER BY received_at;
  INSERT INTO epoch_history SELECT epoch, version, started_at FROM epoch;
  INSERT INTO verdict_history
    SELECT epoch, value ->> 'nodeId', value ->> 'allowed', value ->> 'reason', value ->> 'explanation',
      value ->> 'sinceEpoch', NULL
    FROM epoch, json_each(epoch.decisions);
  `,
  // 3: what was signed for everybody, and the membership that the newest header names.
  `
  CREATE TABLE headers (
    version INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL UNIQUE,
    envelope TEXT NOT NULL
  ) STRICT;
  CREATE TABLE membership (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    entries BLOB NOT NULL
  ) STRICT;
  `,
  // 4: the log. Everything in it is found by place, and only added.
  `
  CREATE TABLE log_entries (
    id INTEGER PRIMARY KEY,
    content BLOB NOT NULL
  ) STRICT;
  -- Level 0: of the entries; each level above: of 256 full ones of the level below.
  CREATE TABLE log_hashes (
    level INTEGER NOT NULL,
    id INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (level, id)
  ) STRICT, WITHOUT ROWID;
  -- One row: the epoch that began the log's present name, if a backup was restored.
  CREATE TABLE log_series (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL
  ) STRICT;
  -- One row: hash of the policy that the log has last.
  CREATE TABLE log_policy (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    hash TEXT NOT NULL
  ) STRICT;
  -- The rows of each epoch's verdicts, compressed (zstd).
  CREATE TABLE log_bundles (
    epoch INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    rows BLOB NOT NULL
  ) STRICT;
  -- Base64 of the envelope's hash; null for what is older than the log.
  ALTER TABLE scores ADD COLUMN hash TEXT;
  ALTER TABLE score_history ADD COLUMN hash TEXT;
  `,
  // 5: who is enrolled has a number that grows with every change, and who was removed is remembered.
  `
  CREATE TABLE roster (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL
  ) STRICT;
  INSERT INTO roster VALUES (1, 0);
  CREATE TABLE removed_keys (
    id INTEGER PRIMARY KEY,
    signing BLOB NOT NULL UNIQUE
  ) STRICT;
  -- All three keys of a node: it signs with one of them only.
  INSERT INTO removed_keys SELECT NULL, public_key FROM node_keys JOIN reserved USING (node_id);
  `,
  // 6: the past is read node by node; that it grows by time is in the order of its ids already.
  `
  DROP INDEX score_history_by_time;
  CREATE INDEX score_history_by_node ON score_history (node_id, received_at);
  `,
  // 7: rows of epochs in which somebody was cut are kept for ever, and the evidence of who is out then.
  `
  ALTER TABLE log_bundles ADD COLUMN is_kept INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX log_bundles_passing ON log_bundles (at) WHERE is_kept = 0;
  CREATE TABLE log_evidence (
    hash TEXT PRIMARY KEY,
    evidence TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  // 8: where a node may be besides its endpoint: endpoints with blanks between them.
  `
  ALTER TABLE nodes ADD COLUMN candidates TEXT NOT NULL DEFAULT '';
  `,
  // 9: who may administer over the network; join tokens that many use, and nodes that leave by themselves.
  `
  CREATE TABLE access_tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
  ) STRICT, WITHOUT ROWID;
  -- NULL: as many as come.
  ALTER TABLE tokens ADD COLUMN uses_left INTEGER;
  ALTER TABLE tokens ADD COLUMN names TEXT;
  ALTER TABLE tokens ADD COLUMN node_group TEXT;
  ALTER TABLE tokens ADD COLUMN silence_s INTEGER;
  ALTER TABLE nodes ADD COLUMN silence_s INTEGER;
  ALTER TABLE nodes ADD COLUMN token_id TEXT;
  UPDATE tokens SET uses_left = iif(used_by IS NULL, 1, 0);
  UPDATE nodes SET token_id = (SELECT id FROM tokens WHERE used_by = node_id);
  ALTER TABLE tokens DROP COLUMN used_by;
  `,
  // 10: what is over is found by its time, and an address by itself, however many there are.
  `
  CREATE INDEX tokens_by_expiry ON tokens (expires_at);
  CREATE INDEX tokens_with_secret ON tokens (expires_at) WHERE secret IS NOT NULL;
  CREATE INDEX reserved_by_time ON reserved (until);
  CREATE INDEX reserved_by_address ON reserved (tunnel_address);
  `,
];
