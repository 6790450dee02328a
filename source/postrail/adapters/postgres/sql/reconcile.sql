-- Everything here works on whole sides at once. Amounts are minor units; settlement amounts are positive for purchases, as
-- the ledger credits the scheme's account. %(…)s are psycopg's parameters.

-- name: make_sides
CREATE TEMP TABLE side_authorizations (
    payment_id uuid NOT NULL, payment_key text COLLATE "C" NOT NULL, fingerprint uuid NOT NULL,
    amount_minor bigint NOT NULL, currency text NOT NULL, acceptor_id text NOT NULL, correlation_id text NOT NULL,
    authorized_at timestamptz NOT NULL, posts boolean NOT NULL
);
CREATE TEMP TABLE side_settlement (
    line_no bigint NOT NULL, reference text COLLATE "C" NOT NULL, acceptor_id text COLLATE "C" NOT NULL,
    amount_minor bigint NOT NULL, currency text NOT NULL, value_date date NOT NULL
);
CREATE TEMP TABLE side_letters (payment_id uuid NOT NULL, queue text NOT NULL);
CREATE TEMP TABLE found_breaks (
    kind text NOT NULL, subject text COLLATE "C" NOT NULL, expected text NOT NULL, found text NOT NULL,
    amount_minor bigint NOT NULL, currency text NOT NULL, at timestamptz
)

-- name: copy_authorizations
COPY side_authorizations FROM STDIN

-- name: copy_letters
COPY side_letters FROM STDIN

-- name: copy_settlement
COPY side_settlement FROM STDIN

-- The authorization of a payment may lie just outside the period that the caller asked for, and its posting inside:
-- both sides are cut by the same time, that of the authorization, which the journal keeps as occurred_at.
-- name: read_ledger
CREATE TEMP TABLE side_ledger AS
SELECT t.payment_id, t.payment_key, t.fingerprint, t.transaction_id, t.sequence_id, t.batch_id, t.position,
       t.occurred_at, r.transaction_id IS NOT NULL AS reversed
  FROM ledger.journal_transactions AS t
  LEFT JOIN ledger.journal_transactions AS r ON r.reverses = t.transaction_id
 WHERE t.kind = 'payment' AND t.occurred_at >= %(period_from)s AND t.occurred_at < %(period_to)s

-- name: read_scheme_amounts
CREATE TEMP TABLE side_scheme AS
SELECT l.payment_id, l.payment_key, l.occurred_at, l.fingerprint,
       sum(e.amount_minor)::bigint AS amount_minor, min(a.currency) AS currency
  FROM side_ledger AS l
  JOIN ledger.entries AS e ON e.batch_id = l.batch_id AND e.position = l.position
  JOIN ledger.accounts AS a ON a.account_no = e.account_no AND a.type = 'settlement'
 WHERE NOT l.reversed
 GROUP BY l.payment_id, l.payment_key, l.occurred_at, l.fingerprint

-- name: read_ends
CREATE TEMP TABLE side_ends AS
SELECT ledger.id_uuid('pay', o.payment_id) AS payment_id, o.detail_type AS how, coalesce(o.reason_code, '') AS reason,
       o.recorded_at AS at
  FROM audit.outcomes AS o
 WHERE o.recorded_at >= %(period_from)s AND o.payment_id ~ '^pay_[0-9a-f]{32}$'
   AND (o.detail_type <> 'AuthorizationReversed' OR o.event #>> '{data,remaining_minor}' = '0')
UNION ALL
SELECT ledger.id_uuid('pay', s.payment_id), CASE s.status WHEN 'refused' THEN 'PaymentPostingFailed' ELSE s.status END,
       coalesce(s.reason, ''), coalesce(s.closed_at, s.first_part_at)
  FROM ledger.posting_sequences AS s
 WHERE s.first_part_at >= %(period_from)s AND s.status IN ('refused', 'waiting')

-- name: analyze_sides
ANALYZE side_authorizations, side_ledger, side_ends, side_settlement

-- name: find_missing
INSERT INTO found_breaks
SELECT 'missing', ledger.id_text('pay', a.payment_id), 'posted', coalesce('dead letter in ' || d.queue, 'no end'),
       a.amount_minor, a.currency, a.authorized_at
  FROM side_authorizations AS a
  LEFT JOIN side_letters AS d ON d.payment_id = a.payment_id
 WHERE a.posts AND a.authorized_at < %(due_before)s
   AND NOT EXISTS (SELECT FROM side_ledger AS l WHERE l.payment_id = a.payment_id)
   AND NOT EXISTS (SELECT FROM side_ends AS e WHERE e.payment_id = a.payment_id)

-- What was posted wrongly and taken back again is no break any more.
-- Of payments that came as events, or in a file, the table has no row: only what came through the table is missed in it.
-- name: find_extra
INSERT INTO found_breaks
SELECT 'extra', ledger.id_text('pay', l.payment_id), 'nothing', 'posted', abs(coalesce(s.amount_minor, 0)),
       coalesce(s.currency, ''), l.occurred_at
  FROM side_ledger AS l
  LEFT JOIN side_scheme AS s ON s.payment_id = l.payment_id
 WHERE NOT l.reversed AND NOT EXISTS (SELECT FROM side_authorizations AS a WHERE a.payment_id = l.payment_id)
   AND (%(complete)s
        OR EXISTS (SELECT FROM ledger.posting_parts AS p
                    WHERE p.sequence_id = ledger.id_text('seq', l.sequence_id) AND p.part_index = 1
                      AND p.event #>> '{metadata,trail,0,type}' <> 'PaymentAuthorized'))

-- name: find_changed
INSERT INTO found_breaks
SELECT CASE WHEN p.currency IS NOT NULL AND p.currency <> a.currency THEN 'currency'
            WHEN p.amount_minor IS NOT NULL AND p.amount_minor <> a.amount_minor THEN 'amount'
            ELSE 'content' END,
       ledger.id_text('pay', a.payment_id), a.amount_minor || ' ' || a.currency,
       coalesce(p.amount_minor || ' ' || p.currency, 'another content'), a.amount_minor, a.currency, a.authorized_at
  FROM side_authorizations AS a
  JOIN side_ledger AS l ON l.payment_id = a.payment_id AND l.fingerprint <> a.fingerprint
  LEFT JOIN LATERAL (
      SELECT (q.event #>> '{data,booking,authorization,amount_minor}')::bigint AS amount_minor,
             q.event #>> '{data,booking,authorization,currency}' AS currency
        FROM ledger.posting_parts AS q
       WHERE q.sequence_id = ledger.id_text('seq', l.sequence_id) AND q.part_index = 1
  ) AS p ON true
 WHERE NOT l.reversed

-- name: find_two_ends
INSERT INTO found_breaks
SELECT DISTINCT ON (l.payment_id) 'status', ledger.id_text('pay', l.payment_id), e.how, 'posted',
       abs(coalesce(s.amount_minor, 0)), coalesce(s.currency, ''), l.occurred_at
  FROM side_ledger AS l
  JOIN side_ends AS e ON e.payment_id = l.payment_id AND e.how IN ('PaymentRejected', 'PaymentReferred')
  LEFT JOIN side_scheme AS s ON s.payment_id = l.payment_id
 WHERE NOT l.reversed
 ORDER BY l.payment_id, e.at

-- name: find_declined_but_posted
INSERT INTO found_breaks
SELECT 'status', ledger.id_text('pay', a.payment_id), 'not to be posted', 'posted', a.amount_minor, a.currency,
       a.authorized_at
  FROM side_authorizations AS a
  JOIN side_ledger AS l ON l.payment_id = a.payment_id
 WHERE NOT a.posts AND NOT l.reversed

-- name: find_duplicates
INSERT INTO found_breaks
SELECT 'duplicate', ledger.id_text('pay', a.payment_id), 'parked', 'no end, and its key is taken', a.amount_minor,
       a.currency, a.authorized_at
  FROM side_authorizations AS a
  JOIN side_ledger AS l ON l.payment_key = a.payment_key AND l.payment_id <> a.payment_id
 WHERE a.posts AND a.authorized_at < %(due_before)s
   AND NOT EXISTS (SELECT FROM side_ends AS e WHERE e.payment_id = a.payment_id)

-- What is missing because another payment took its key is a duplicate that was never parked, and not missing.
-- name: forget_missing_duplicates
DELETE FROM found_breaks AS m USING found_breaks AS d
 WHERE m.kind = 'missing' AND d.kind = 'duplicate' AND d.subject = m.subject

-- name: find_waiting_sequences
INSERT INTO found_breaks
SELECT 'sequence_incomplete', s.payment_id, s.total || ' parts',
       (SELECT count(*) FROM ledger.posting_parts AS p WHERE p.sequence_id = s.sequence_id) || ' parts',
       0, '', s.first_part_at
  FROM ledger.posting_sequences AS s
 WHERE s.status = 'waiting' AND s.first_part_at < %(due_before)s

-- name: find_stale_holds
INSERT INTO found_breaks
SELECT 'hold_unresolved', 'hld_' || replace(h.hold_id::text, '-', ''), coalesce('released: ' || e.how, 'expired'),
       'active', h.remaining_minor, a.currency, h.placed_at
  FROM ledger.holds AS h
  JOIN ledger.accounts AS a ON a.account_no = h.account_no
  LEFT JOIN LATERAL (
      SELECT o.detail_type AS how FROM audit.outcomes AS o
       WHERE o.payment_id = ledger.id_text('pay', h.payment_id) AND o.detail_type = 'PaymentRejected'
       ORDER BY o.recorded_at LIMIT 1
  ) AS e ON true
 WHERE h.status = 'active' AND h.placed_at < %(due_before)s
   AND (e.how IS NOT NULL OR h.expires_at < %(due_before)s)

-- A line names its payment by its id, its key or its retrieval reference number, which stands for the key when it is
-- the authorization's. One line for one payment first; what is left of both sides goes on.
-- name: match_lines
CREATE TEMP TABLE matched_lines AS
SELECT t.line_no, s.payment_id
  FROM side_settlement AS t
  JOIN side_scheme AS s ON s.payment_key = t.reference
UNION
SELECT t.line_no, s.payment_id
  FROM side_settlement AS t
  JOIN side_scheme AS s
    ON s.payment_id = CASE WHEN t.reference ~ '^pay_[0-9a-f]{32}$' THEN right(t.reference, 32)::uuid END

-- name: sum_matched_lines
CREATE TEMP TABLE settled AS
SELECT m.payment_id, count(*) AS lines, sum(t.amount_minor)::bigint AS amount_minor, min(t.currency) AS currency,
       count(DISTINCT t.currency) AS currencies, min(t.amount_minor) AS least_minor, max(t.amount_minor) AS most_minor
  FROM matched_lines AS m
  JOIN side_settlement AS t ON t.line_no = m.line_no
 GROUP BY m.payment_id

-- Many payments in one line: a merchant's total of a day, in one currency, of what no line of its own settles.
-- name: match_totals
CREATE TEMP TABLE totals AS
SELECT t.line_no, t.amount_minor, t.currency, t.value_date, t.acceptor_id,
       sum(s.amount_minor)::bigint AS posted_minor, count(s.payment_id) AS payments,
       array_agg(s.payment_id) FILTER (WHERE s.payment_id IS NOT NULL) AS payment_ids
  FROM side_settlement AS t
  LEFT JOIN (
      SELECT s.payment_id, s.amount_minor, s.currency, a.acceptor_id, (s.occurred_at AT TIME ZONE 'UTC')::date AS day
        FROM side_scheme AS s
        JOIN side_authorizations AS a ON a.payment_id = s.payment_id
       WHERE NOT EXISTS (SELECT FROM settled AS x WHERE x.payment_id = s.payment_id)
         AND EXISTS (SELECT FROM side_settlement AS t WHERE t.reference = '' AND t.acceptor_id = a.acceptor_id)
  ) AS s ON s.acceptor_id = t.acceptor_id AND s.currency = t.currency AND s.day = t.value_date
 WHERE t.reference = ''
 GROUP BY t.line_no, t.amount_minor, t.currency, t.value_date, t.acceptor_id

-- name: find_settled_differently
INSERT INTO found_breaks
SELECT CASE WHEN x.currencies > 1 OR x.currency <> s.currency THEN 'settled_currency'
            WHEN x.lines > 1 AND x.least_minor = s.amount_minor AND x.most_minor = s.amount_minor THEN 'settled_twice'
            ELSE 'settled_amount' END,
       ledger.id_text('pay', s.payment_id), s.amount_minor || ' ' || s.currency,
       x.amount_minor || ' ' || x.currency || CASE WHEN x.lines > 1 THEN ' in ' || x.lines || ' lines' ELSE '' END,
       CASE WHEN x.currency = s.currency THEN abs(x.amount_minor - s.amount_minor) ELSE abs(s.amount_minor) END,
       s.currency, s.occurred_at
  FROM settled AS x
  JOIN side_scheme AS s ON s.payment_id = x.payment_id
 WHERE x.currencies > 1 OR x.currency <> s.currency OR abs(x.amount_minor - s.amount_minor) > %(tolerance_minor)s

-- name: find_totals_that_differ
INSERT INTO found_breaks
SELECT CASE WHEN t.payments = 0 THEN 'settled_unposted' ELSE 'settled_amount' END,
       'total ' || t.acceptor_id || ' ' || t.value_date || ' ' || t.currency,
       coalesce(t.posted_minor, 0) || ' ' || t.currency || ' in ' || t.payments || ' payments',
       t.amount_minor || ' ' || t.currency, abs(t.amount_minor - coalesce(t.posted_minor, 0)), t.currency,
       t.value_date::timestamp AT TIME ZONE 'UTC'
  FROM totals AS t
 WHERE t.payments = 0 OR abs(t.amount_minor - t.posted_minor) > %(tolerance_minor)s

-- name: find_settled_unposted
INSERT INTO found_breaks
SELECT 'settled_unposted', t.reference, 'posted', 'line ' || min(t.line_no), abs(sum(t.amount_minor))::bigint,
       min(t.currency), min(t.value_date)::timestamp AT TIME ZONE 'UTC'
  FROM side_settlement AS t
 WHERE t.reference <> '' AND NOT EXISTS (SELECT FROM matched_lines AS m WHERE m.line_no = t.line_no)
 GROUP BY t.reference

-- name: find_unsettled
INSERT INTO found_breaks
SELECT 'unsettled', ledger.id_text('pay', s.payment_id), s.amount_minor || ' ' || s.currency, 'no line',
       abs(s.amount_minor), s.currency, s.occurred_at
  FROM side_scheme AS s
 WHERE s.occurred_at < %(settled_before)s AND s.amount_minor <> 0
   AND NOT EXISTS (SELECT FROM settled AS x WHERE x.payment_id = s.payment_id)
   AND NOT EXISTS (SELECT FROM matched_totals AS m WHERE m.payment_id = s.payment_id)

-- name: unfold_totals
CREATE TEMP TABLE matched_totals AS SELECT DISTINCT unnest(t.payment_ids) AS payment_id FROM totals AS t

-- name: open_run
INSERT INTO reconcile.runs (run_id, period_from, period_to, started_at)
VALUES (%(run_id)s, %(period_from)s, %(period_to)s, %(now)s)

-- name: keep_breaks
INSERT INTO reconcile.breaks AS b
       (break_key, kind, subject, expected, found, amount_minor, currency, at, first_run, last_run, opened_at)
SELECT left(encode(sha256(convert_to(f.kind || '/' || f.subject, 'UTF8')), 'hex'), 32), f.kind, f.subject, f.expected,
       f.found, f.amount_minor, f.currency, f.at, %(run_id)s, %(run_id)s, %(now)s
  FROM (SELECT DISTINCT ON (kind, subject) * FROM found_breaks ORDER BY kind, subject, at) AS f
ON CONFLICT (break_key) DO UPDATE
   SET expected = EXCLUDED.expected, found = EXCLUDED.found, last_run = EXCLUDED.last_run,
       status = CASE WHEN b.status = 'resolved' THEN 'open' ELSE b.status END,
       closed_at = CASE WHEN b.status = 'resolved' THEN NULL ELSE b.closed_at END

-- What an earlier run found in the same time, on sides that were looked at again, and this one did not, is gone.
-- name: resolve_breaks
UPDATE reconcile.breaks
   SET status = 'resolved', closed_at = %(now)s
 WHERE status IN ('open', 'patched') AND last_run <> %(run_id)s
   AND kind = ANY (%(kinds)s) AND at >= %(period_from)s AND at < %(period_to)s

-- name: close_run
UPDATE reconcile.runs
   SET finished_at = %(now)s, sides = %(sides)s,
       breaks = (SELECT coalesce(jsonb_object_agg(kind, n), '{}')
                   FROM (SELECT kind, count(*) AS n FROM reconcile.breaks WHERE last_run = %(run_id)s GROUP BY kind) AS c)
 WHERE run_id = %(run_id)s

-- name: count_sides
SELECT (SELECT count(*) FROM side_authorizations) AS authorizations, (SELECT count(*) FROM side_ledger) AS ledger,
       (SELECT count(*) FROM side_ends) AS ends, (SELECT count(*) FROM side_settlement) AS settlement

-- name: count_breaks
SELECT kind, count(*) AS breaks, sum(amount_minor)::bigint AS amount_minor
  FROM reconcile.breaks WHERE last_run = %(run_id)s AND status <> 'accepted' GROUP BY kind ORDER BY kind

-- name: list_breaks
SELECT break_key, kind, subject, expected, found, amount_minor, currency, at, status, first_run, last_run
  FROM reconcile.breaks
 WHERE (%(run_id)s::text IS NULL OR last_run = %(run_id)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)
   AND (%(status)s::text IS NULL OR status = %(status)s)
 ORDER BY kind, at NULLS LAST, subject
 LIMIT %(limit)s

-- A patch is asked for once. Over the limit it waits for a second person; below it is done at once.
-- name: ask_patch
INSERT INTO reconcile.patches
       (break_key, action, amount_minor, currency, before, evidence, status, asked_by, created_at)
VALUES (%(break_key)s, %(action)s, %(amount_minor)s, %(currency)s, %(before)s, %(evidence)s,
        CASE WHEN %(amount_minor)s > %(limit_minor)s THEN 'waiting' ELSE 'approved' END, %(asked_by)s, %(now)s)
ON CONFLICT (break_key, action) WHERE status <> 'refused' DO NOTHING

-- name: list_patches
SELECT p.patch_id, p.break_key, b.kind, b.subject, p.action, p.amount_minor, p.currency, p.before, p.after,
       encode(p.evidence, 'hex') AS evidence, p.status, p.asked_by, p.approved_by, p.created_at, p.done_at
  FROM reconcile.patches AS p
  JOIN reconcile.breaks AS b USING (break_key)
 WHERE (%(status)s::text IS NULL OR p.status = %(status)s)
   AND (%(patch_id)s::bigint IS NULL OR p.patch_id = %(patch_id)s)
 ORDER BY p.patch_id
 LIMIT %(limit)s

-- name: decide_patch
UPDATE reconcile.patches
   SET status = %(decision)s, approved_by = %(by)s
 WHERE patch_id = %(patch_id)s AND status = 'waiting' AND asked_by <> %(by)s
RETURNING patch_id

-- name: finish_patch
UPDATE reconcile.patches
   SET status = %(status)s, after = %(after)s, evidence = %(evidence)s, done_at = %(now)s
 WHERE patch_id = %(patch_id)s AND status = 'approved'

-- name: accept_break
UPDATE reconcile.breaks SET status = 'accepted', closed_at = %(now)s
 WHERE break_key LIKE %(beginning)s AND status IN ('open', 'patched')
RETURNING break_key

-- name: mark_patched
UPDATE reconcile.breaks SET status = 'patched', closed_at = %(now)s WHERE break_key = %(break_key)s AND status = 'open'

-- name: posted_transaction
SELECT ledger.id_text('txn', t.transaction_id) AS transaction_id, t.payment_key, t.occurred_at,
       json_agg(json_build_object('account_id', a.account_id, 'amount_minor', e.amount_minor, 'currency', a.currency)
                ORDER BY e.leg_no) AS legs
  FROM ledger.journal_transactions AS t
  JOIN ledger.entries AS e ON e.batch_id = t.batch_id AND e.position = t.position
  JOIN ledger.accounts AS a ON a.account_no = e.account_no
 WHERE t.kind = 'payment' AND t.payment_id = ledger.id_uuid('pay', %(payment_id)s)
 GROUP BY t.transaction_id, t.payment_key, t.occurred_at
 ORDER BY t.occurred_at LIMIT 1
